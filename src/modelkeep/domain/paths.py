"""Paths of files in a version: relative, normalised, no two the same place."""

import unicodedata
from collections.abc import Iterable

from modelkeep.domain import checks, limits

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks, embeddings, overrides and isolates of direction (Unicode's UAX 9): behind one of them
`model_cod.exe` may read as `model_exe.doc`. No language needs them within a name."""


def check(path: str) -> None:
    """Raise `errors.InvalidArgument` unless the path is one we store."""
    shown = checks.shown(path)
    size_bytes = len(path.encode())
    with checks.Checks() as found:
        found.require(path != "", "", "must not be empty")
        found.require(
            size_bytes <= limits.PATH_BYTES,
            "",
            f"{shown} has {size_bytes:,} bytes; at most {limits.PATH_BYTES:,} are allowed",
        )
        found.require(not path.startswith("/"), "", f"{shown} is absolute; give a relative path")
        found.require(
            not {"", ".", ".."} & set(path.removeprefix("/").split("/")) or path == "",
            "",
            f"{shown} is not normalised: it has an empty segment, '.' or '..'",
        )
        found.require("\\" not in path, "", f"{shown} has a backslash; use '/'")
        found.require(
            not _TURNING & set(path), "", f"{shown} has a character that turns how it is read"
        )
        found.text("", path[: limits.PATH_BYTES], limits.PATH_BYTES)


def check_all(paths: Iterable[str]) -> None:
    """Raise `errors.InvalidArgument` if two paths would be one place on some file system.

    Equal ignoring case or Unicode composition, or one a folder of the other.
    """
    seen: dict[str, str] = {}
    with checks.Checks() as found:
        for n, path in enumerate(paths):
            other = seen.setdefault(_place(path), path)
            same = f"{checks.shown(path)} and {checks.shown(other)} are equal ignoring case"
            if not found.require(len(seen) == n + 1, f"[{n}].path", same):
                return
        for place, path in seen.items():
            _refuse_file_as_folder(found, seen, place, path)


def _place(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _refuse_file_as_folder(
    found: checks.Checks, seen: dict[str, str], place: str, path: str
) -> None:
    parts = place.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth])
        if folder in seen:
            why = (
                f"{checks.shown(seen[folder])} is a file and also a folder of {checks.shown(path)}"
            )
            found.require(False, "", why)
