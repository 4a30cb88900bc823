"""Directories and secrets that belong to one user alone."""

import base64
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

_log = logging.getLogger(__name__)


def default_directory(environ: Mapping[str, str]) -> Path:
    """Where `modelkeep dev` keeps its files unless told otherwise, after the XDG rules."""
    home = environ.get("XDG_DATA_HOME", "")
    root = Path(home) if home.startswith("/") else Path.home() / ".local" / "share"
    return root / "modelkeep"


def private_directory(path: Path) -> Path:
    """Make the directory and its parents where missing, for its owner alone; return it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.mkdir(exist_ok=True, mode=0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read; all of it or nothing."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def kept_secret(path: Path) -> str:
    """Read the secret of this file, made of 192 random bits the first time."""
    if not path.exists():
        write_private(path, secrets.token_hex(24))
    return path.read_text(encoding="utf-8").strip()


def kept_key(path: Path) -> str:
    """Read the key of this file, 256 random bits in base64, made the first time."""
    if not path.exists():
        write_private(path, base64.b64encode(secrets.token_bytes(32)).decode())
    return path.read_text(encoding="utf-8").strip()


def make_traversable(path: Path) -> None:
    """Let other users pass through `path` and its parents: only missing o+x bits are added."""
    for directory in (path, *path.parents):
        mode = stat.S_IMODE(directory.stat().st_mode)
        if not mode & stat.S_IXOTH:
            directory.chmod(mode | stat.S_IXOTH)
            _log.warning("added o+x to %s so that the database's user can pass", directory)


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, or a note that there are none."""
    if not path.exists():
        return "(no log)"
    text = path.read_text(encoding="utf-8", errors="replace")[-16_384:]
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def open_log(path: Path, limit_bytes: int = 8 << 20) -> int:
    """Open a log for appending and return its descriptor; a long one first becomes `NAME.1`."""
    private_directory(path.parent)
    if path.exists() and path.stat().st_size > limit_bytes:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def open_fresh(path: Path) -> int:
    """Open an empty file for appending and return its descriptor."""
    private_directory(path.parent)
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
