"""The only gRPC on the server side."""
