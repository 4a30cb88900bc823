"""The only S3: one small Protocol, one store per file, decorators for one concern each."""
