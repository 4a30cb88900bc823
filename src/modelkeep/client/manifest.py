"""The manifest digest: one SHA-256 over the list of a version's files."""

import hashlib
from collections.abc import Iterable

from modelkeep.client import records

_HEADER = "modelkeep-manifest-v1"
PREFIX = "sha256:"


def digest(files: Iterable[records.File]) -> str:
    """The digest of those files, as the comment of `Version.manifest_digest` defines it.

    It is the SHA-256 of the line `modelkeep-manifest-v1` and, for each file, one line
    `{sha256 hex}  {size}  {path}`, sorted by the bytes of the path, each ended by one newline.
    """
    ordered = sorted(files, key=lambda file: file.path.encode())
    lines = [
        f"{file.digest.removeprefix(PREFIX)}  {file.size_bytes}  {file.path}" for file in ordered
    ]
    text = "".join(f"{line}\n" for line in (_HEADER, *lines))
    return f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()}"
