"""The hub cache of Hugging Face on disk: which repositories, which snapshots, which files.

`models--org--name/` has `blobs/`, `refs/` (files that name a commit) and `snapshots/<commit>/`,
whose entries are links into `blobs/`. Nothing outside the repository's own folder is ever read.
"""

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelkeep.client import errors, paths, tree

_FOLDER = re.compile(r"models--(.+)")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_REF_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One commit as far as it was downloaded.

    Attributes:
        commit: its hash.
        seen_ns: when its folder was last written.
        files: what can be read.
        digests: of a path the SHA-256 that its blob's name states, where it states one.
        missing: paths whose blob is not there.
    """

    commit: str
    seen_ns: int
    files: tuple[tree.LocalFile, ...]
    digests: dict[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedRepository:
    """One repository of models; snapshots the oldest first, `refs` names commits."""

    name: str
    snapshots: tuple[Snapshot, ...]
    refs: dict[str, str]
    incomplete: tuple[str, ...]


def scan(cache: Path, wanted: Sequence[str]) -> list[CachedRepository]:
    """The repositories of models in a cache; meant for a thread.

    Args:
        cache: its folder, or the one above it that has it as `hub`.
        wanted: names of repositories, `org/name`; all if empty.

    Raises:
        BadSource: it is no such cache, or lacks what is wanted.
    """
    root = next((path for path in (cache, cache / "hub") if any(_folders(path))), None)
    if root is None:
        raise errors.BadSource(
            f"{cache} has no models of a Hugging Face cache: there is no models--ORG--NAME in it.",
            reason="BAD_CACHE",
        )
    found = {name: path for path, name in _folders(root)}
    for name in wanted:
        if name not in found:
            raise errors.BadSource(
                f"{name} is not in {root}; there are {', '.join(sorted(found)[:10])}.",
                reason="BAD_CACHE",
            )
    return [_repository(found[name], name) for name in sorted(wanted or found)]


def _folders(root: Path) -> Iterator[tuple[Path, str]]:
    if not root.is_dir():
        return
    for path in sorted(root.iterdir()):
        matched = _FOLDER.fullmatch(path.name)
        if matched and (path / "snapshots").is_dir():
            yield path, matched[1].replace("--", "/", 1)


def _repository(folder: Path, name: str) -> CachedRepository:
    snapshots = [
        _snapshot(folder, path)
        for path in (folder / "snapshots").iterdir()
        if _COMMIT.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
    return CachedRepository(
        name=name,
        snapshots=tuple(sorted(snapshots, key=lambda one: (one.seen_ns, one.commit))),
        refs=dict(_refs(folder / "refs")),
        incomplete=tuple(sorted(path.name for path in (folder / "blobs").glob("*.incomplete"))),
    )


def _refs(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_REF_BYTES:
            continue
        commit = path.read_text(encoding="utf-8", errors="replace").strip()
        if _COMMIT.fullmatch(commit):
            yield path.relative_to(folder).as_posix(), commit


def _snapshot(folder: Path, root: Path) -> Snapshot:
    files: list[tree.LocalFile] = []
    digests: dict[str, str] = {}
    missing: list[str] = []
    for source in sorted(root.rglob("*")):
        if source.is_dir() and not source.is_symlink():
            continue
        path = source.relative_to(root).as_posix()
        blob = _blob(source, path, folder)
        if blob is None:
            missing.append(path)
            continue
        files.append(_local(blob, path))
        if _SHA256.fullmatch(blob.name):
            digests[path] = f"sha256:{blob.name}"
    paths.check_all(file.path for file in files)
    return Snapshot(
        commit=root.name,
        seen_ns=root.stat().st_mtime_ns,
        files=tuple(files),
        digests=digests,
        missing=tuple(missing),
    )


def _blob(source: Path, path: str, folder: Path) -> Path | None:
    """Where the bytes are: the link's aim among the blobs, or a plain file; None if not there."""
    aim = source.resolve()
    if not aim.is_relative_to(folder.resolve()):
        raise paths.refusal(path, f"it is a link that leads out of {folder}")
    if aim.exists() and not stat.S_ISREG(aim.stat().st_mode):
        raise paths.refusal(path, "it is not a file")
    return aim if aim.exists() else None


def _local(blob: Path, path: str) -> tree.LocalFile:
    status = blob.stat()
    return tree.LocalFile(
        source=blob, path=path, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns
    )
