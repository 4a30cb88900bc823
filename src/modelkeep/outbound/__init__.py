"""All that leaves for receivers outside: HTTP requests, and the secrets they are signed with."""
