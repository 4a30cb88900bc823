"""What is inside files, read from a few of their bytes, never by running or loading them."""
