"""What operators see: a port of its own with metrics and probes, apart from the API."""
