"""The rules for a file's path in a version; kept before a push sends and after a pull lists."""

import unicodedata
from collections.abc import Iterable

from modelkeep.client import errors

MAX_PATH_BYTES = 1024
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FIRST_PRINTABLE = 0x20
_DELETE = 0x7F


def check(path: str) -> None:
    """Refuse a path that is not relative, normalised and printable.

    Raises:
        BadTree: naming the path and what is wrong with it.
    """
    if fault := _fault(path):
        raise refusal(path, fault)


def check_all(paths: Iterable[str]) -> None:
    """Refuse paths that cannot all be files of one tree on every file system.

    Raises:
        BadTree: a path is bad, two are equal ignoring case, or one is a folder of another.
    """
    seen: dict[str, str] = {}
    for path in paths:
        check(path)
        clash = seen.setdefault(_folded(path), path)
        if clash is not path:
            raise refusal(path, f"it is the same as {clash!r} where case is ignored")
    for folded, path in seen.items():
        for folder in _folders(folded):
            if folder in seen:
                raise refusal(path, f"{seen[folder]!r} is a file, not a folder")


def refusal(path: str, fault: str) -> errors.BadTree:
    """The error that names a path and its fault."""
    return errors.BadTree(
        f"The path {path[:200]!r} cannot be a file of a version: {fault}.",
        reason="BAD_PATH",
        metadata={"path": path[:MAX_PATH_BYTES]},
    )


def _fault(path: str) -> str:
    if fault := _bad_characters(path):
        return fault
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    if path.startswith("/"):
        return "it is absolute"
    return _bad_segment(path)


def _bad_characters(path: str) -> str:
    if "\\" in path:
        return "it has a backslash"
    if any(ord(char) < _FIRST_PRINTABLE or ord(char) == _DELETE for char in path):
        return "it has a control character"
    if any(char in _TURNING for char in path):
        return "it has a character that turns the direction in which it is read"
    if any(unicodedata.category(char) == "Cs" for char in path):
        return "it is not UTF-8"
    return ""


def _bad_segment(path: str) -> str:
    for segment in path.split("/"):
        if not segment:
            return "it has an empty segment"
        if segment in {".", ".."}:
            return f"it has the segment {segment!r}"
    return ""


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
