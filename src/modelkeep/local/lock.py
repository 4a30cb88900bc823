"""One supervisor per data directory: an advisory lock that says who holds it."""

import contextlib
import datetime
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from modelkeep.local import errors


class Lock:
    """The held lock of one data directory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

    def describe(self, endpoint: str) -> None:
        """Write into the lock who holds it, since when, and where the server answers."""
        holder = {"pid": os.getpid(), "started_at": self._started_at, "endpoint": endpoint}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)


@contextlib.contextmanager
def held(data: Path, endpoint: str) -> Iterator[Lock]:
    """Hold the lock of a data directory; its file is gone afterwards.

    Raises:
        errors.LocalError: another process holds it; the message says which.
    """
    path = data / "lock"
    descriptor = _take(path)
    try:
        lock = Lock(descriptor)
        lock.describe(endpoint)
        yield lock
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise errors.LocalError(_refusal(path)) from None
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder removed it between our open and our lock


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _refusal(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        who = "process {pid}, since {started_at}, at {endpoint}".format(**holder)
    except (FileNotFoundError, ValueError, KeyError):
        who = "a process that is just starting or ending"
    return (
        f"{path.parent} is in use by another `modelkeep dev`: {who}; "
        "use that one, end it, or choose another directory with --data"
    )
