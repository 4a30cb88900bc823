"""Generated from `protos/`; `make protos` writes it, nobody edits it."""
