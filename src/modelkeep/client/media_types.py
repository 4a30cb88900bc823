"""The media type of a file by its name."""

import mimetypes
from pathlib import PurePosixPath

DEFAULT = "application/octet-stream"
# The types of the trade; where nothing is registered, what the tools themselves use.
_BY_SUFFIX = {
    ".safetensors": "application/vnd.safetensors",
    ".onnx": "application/vnd.onnx",
    ".gguf": "application/vnd.gguf",
    ".pt": "application/vnd.pytorch",
    ".pth": "application/vnd.pytorch",
    ".jit": "application/vnd.pytorch",
    ".h5": "application/x-hdf5",
    ".npz": "application/vnd.numpy",
    ".npy": "application/vnd.numpy",
    ".parquet": "application/vnd.apache.parquet",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".toml": "application/toml",
    ".jsonl": "application/jsonl",
    ".py": "text/x-python",
}


def of_path(path: str) -> str:
    """The media type of that path; `application/octet-stream` where nothing is known.

    Only this table and Python's built-in one are asked, so that two machines agree.
    """
    suffix = PurePosixPath(path).suffix.lower()
    return _BY_SUFFIX.get(suffix) or _BUILT_IN.types_map[True].get(suffix, DEFAULT)


_BUILT_IN = mimetypes.MimeTypes()
