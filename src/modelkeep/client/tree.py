"""Walking what is to be pushed: a folder or a single file."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkeep.client import errors, paths

SKIPPED_FOLDERS = frozenset({".git", "__pycache__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file to push: where it is, its path in the version, and how it was when it was seen.

    Its bytes may be a part of what is at `source`: `start` is where they begin there, and
    `source_bytes` how large that is (None: nothing else is in it). `media_type` is empty if
    the path is to tell.
    """

    source: Path
    path: str
    size_bytes: int
    mtime_ns: int
    start: int = 0
    source_bytes: int | None = None
    media_type: str = ""

    def check_unchanged(self, status: os.stat_result) -> None:
        """Raise FileChanged if the file is no longer the one that was seen."""
        seen = self.size_bytes if self.source_bytes is None else self.source_bytes
        if (status.st_size, status.st_mtime_ns) != (seen, self.mtime_ns):
            raise changed(self.path)


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file to push, and the digest it was found to have."""

    local: LocalFile
    digest: str


def content_of(file: LocalFile) -> bytes:
    """The bytes of a small file that is to be pushed; meant for a thread.

    Raises:
        FileChanged: the file is not as it was seen.
    """
    with file.source.open("rb", buffering=0) as opened:
        content = os.pread(opened.fileno(), file.size_bytes, file.start)
        file.check_unchanged(os.fstat(opened.fileno()))
    if len(content) != file.size_bytes:
        raise changed(file.path)
    return content


def changed(path: str) -> errors.FileChanged:
    """The error of a file that changed while it was being pushed."""
    return errors.FileChanged(
        f"{path} changed while it was being pushed; push again when nothing writes it.",
        reason="FILE_CHANGED",
        metadata={"path": path},
    )


def walk(root: Path) -> list[LocalFile]:
    """All files under a folder, sorted by path, or the one file.

    Links are followed to files inside the folder only; `.git` and `__pycache__` are left out.

    Raises:
        BadTree: nothing is there, or something in it cannot be a file of a version.
    """
    if not root.exists():
        raise errors.BadTree(f"{root} does not exist.", reason="NO_SUCH_PATH")
    files = sorted(_files(root), key=lambda file: file.path.encode("utf-8", "surrogateescape"))
    paths.check_all(file.path for file in files)
    if not files:
        raise errors.BadTree(f"{root} has no files to push.", reason="EMPTY_TREE")
    return files


def _files(root: Path) -> Iterator[LocalFile]:
    if not root.is_dir():
        yield _local_file(root, root.name)
        return
    inside = root.resolve()
    for folder, folders, names in os.walk(root, onerror=_unreadable):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        for name in (*names, *_linked(folder, folders)):
            source = Path(folder, name)
            path = source.relative_to(root).as_posix()
            if source.is_symlink():
                _check_link(source, path, inside)
            yield _local_file(source, path)


def _unreadable(failure: OSError) -> None:
    raise errors.BadTree(
        f"{failure.filename} cannot be read: {failure.strerror}.", reason="UNREADABLE"
    )


def _linked(folder: str, folders: list[str]) -> list[str]:
    # os.walk does not descend into links; they are looked at like files, and refused there.
    return [name for name in folders if Path(folder, name).is_symlink()]


def _local_file(source: Path, path: str) -> LocalFile:
    try:
        status = source.stat()
    except OSError as failure:
        raise errors.BadTree(
            f"{path} cannot be read: {failure.strerror}.", reason="UNREADABLE"
        ) from failure
    if not stat.S_ISREG(status.st_mode):
        raise paths.refusal(path, "it is neither a file nor a folder")
    return LocalFile(
        source=source, path=path, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns
    )


def _check_link(source: Path, path: str, inside: Path) -> None:
    try:
        aim = source.resolve(strict=True)
    except (OSError, RuntimeError) as failure:
        raise paths.refusal(path, "it is a link that leads nowhere or in a circle") from failure
    if not aim.is_relative_to(inside):
        raise paths.refusal(path, "it is a link to something outside the folder")
    if not aim.is_file():
        raise paths.refusal(path, "it is a link to a folder; only links to files are followed")
