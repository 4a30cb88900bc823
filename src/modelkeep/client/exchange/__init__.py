"""Bringing models from elsewhere into a registry, and out of it: bundles, caches, other registries.

`incoming` says what is to be there, `landing` brings it, `checking` compares what then is there
and `reports` tells it. `bundle_*`, `hf_*` and `mlflow_*` each read one kind of source.
"""
