"""Modelkeep: a model registry you can trust with production."""

from importlib import metadata

__version__ = metadata.version("modelkeep")
