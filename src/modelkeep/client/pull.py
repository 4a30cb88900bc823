"""A pull: find the version, check its manifest, fetch what is not there, verify."""

import functools
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelkeep.client import (
    batching,
    concurrency,
    download,
    errors,
    hashing,
    manifest,
    paths,
    patience,
    progress,
    records,
    refs,
    routes,
    selection,
    small_pull,
    workers,
)

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

FILES_AT_ONCE = 4
_Errand = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to pull and where to."""

    ref: refs.Ref
    directory: Path
    as_of: datetime | None = None
    wanted: selection.Selection = field(default_factory=selection.Selection)
    via: routes.Via = routes.Via.AUTO
    files_at_once: int = FILES_AT_ONCE
    stall_s: float = patience.DEFAULT_STALL_S
    listener: progress.Progress = field(default_factory=progress.Progress)


class Pull:
    """One pull; `run` is called once."""

    def __init__(self, registry: "Registry", order: Order, pool: workers.Workers) -> None:
        self._registry = registry
        self._order = order
        self._pool = pool
        self._fetched_bytes = 0
        self._direct_bytes = 0

    async def run(self) -> records.PullResult:
        """Pull, and tell what was done. A pull that was cut goes on when it is run again."""
        began = time.monotonic()
        version = await self._registry.resolve(str(self._order.ref), as_of=self._order.as_of)
        files = [file async for file in self._registry.list_files(version.ref)]
        # The whole list: a part of it has no digest to be checked by.
        check_manifest(version, files)
        wanted = self._wanted(version, files)
        await self._fetch_all(version, wanted)
        return records.PullResult(
            version=version,
            directory=self._order.directory,
            files=len(wanted),
            total_bytes=sum(file.size_bytes for file in wanted),
            fetched_bytes=self._fetched_bytes,
            seconds=time.monotonic() - began,
            left_out=len(files) - len(wanted),
            direct_bytes=self._direct_bytes,
        )

    def _wanted(
        self, version: records.Version, files: Sequence[records.File]
    ) -> Sequence[records.File]:
        if self._order.wanted.takes_all:
            return files
        wanted = [file for file in files if self._order.wanted.takes(file.path)]
        if not wanted:
            raise errors.NotFound(
                f"None of the {len(files)} files of {version.ref} is wanted by these patterns;"
                f" `modelkeep show {version.ref}` lists them.",
                reason="NO_FILE_WANTED",
            )
        return wanted

    async def _fetch_all(self, version: records.Version, files: Sequence[records.File]) -> None:
        limits = await self._registry.capabilities()
        with routes.opened(self._order.via, limits, self._order.stall_s) as route:
            await self._fetch_by(route, version, files, batching.Limits.of(limits))
            self._direct_bytes = route.direct_bytes

    async def _fetch_by(
        self,
        route: routes.Route,
        version: records.Version,
        files: Sequence[records.File],
        limits: batching.Limits,
    ) -> None:
        settings = download.Settings(
            connection=self._registry,
            version_name=version.name,
            stall_s=self._order.stall_s,
            pool=self._pool,
            listener=self._order.listener,
            on_fetched=self._count,
            calls=self._registry,
            route=route,
        )

        async def fetch_one(file: records.File) -> None:
            target = self._target(file.path)
            if await self._is_there(file, target):
                self._order.listener.file_began(file.path, file.size_bytes, file.size_bytes)
                self._order.listener.file_ended(file.path)
                return
            await download.fetch(file, target, settings)

        total = sum(file.size_bytes for file in files)
        self._order.directory.mkdir(parents=True, exist_ok=True)
        self._order.listener.step_began(progress.Step.FETCH, len(files), total)
        await concurrency.for_each(
            self._errands(version, files, limits, fetch_one),
            _run,
            at_once=self._order.files_at_once,
        )
        self._order.listener.step_ended(progress.Step.FETCH)

    def _errands(
        self,
        version: records.Version,
        files: Sequence[records.File],
        limits: batching.Limits,
        fetch_one: Callable[[records.File], Awaitable[None]],
    ) -> Iterator[_Errand]:
        """Large files one by one, then small ones in batches."""
        yield from (
            functools.partial(fetch_one, file) for file in files if not limits.take(file.size_bytes)
        )
        together = small_pull.SmallPull(
            small_pull.Settings(
                connection=self._registry,
                namespace=refs.parse(version.name).namespace,  # where it is today
                pool=self._pool,
                listener=self._order.listener,
                on_fetched=self._count,
                target_of=self._target,
                single=fetch_one,
            )
        )
        small = [file for file in files if limits.take(file.size_bytes)]
        for batch in batching.packed(small, lambda file: file.size_bytes, limits):
            yield functools.partial(together.fetch, batch)

    def _target(self, path: str) -> Path:
        """Where the file goes, its folder made; refused if a link leads out of the directory."""
        root = self._order.directory.resolve()
        target = root / path
        if not target.parent.resolve().is_relative_to(root):
            raise paths.refusal(path, f"a link in {self._order.directory} leads out of it")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise paths.refusal(path, f"there is a folder of that name in {self._order.directory}")
        return target

    async def _is_there(self, file: records.File, target: Path) -> bool:
        if not await self._pool.submit(lambda: _has_size(target, file.size_bytes)):
            return False
        running = hashlib.sha256()
        await hashing.absorb_file(target, file.size_bytes, running, self._pool)
        return hashing.text_of(running) == file.digest

    def _count(self, fetched_bytes: int) -> None:
        self._fetched_bytes += fetched_bytes


async def _run(errand: _Errand) -> None:
    await errand()


def _has_size(target: Path, size_bytes: int) -> bool:
    if target.is_symlink() or not target.is_file():
        return False
    return target.stat().st_size == size_bytes


def check_manifest(version: records.Version, files: Sequence[records.File]) -> None:
    """Refuse a list of files that is not the version's, or that no folder should hold.

    Raises:
        BadTree: a path is hostile.
        DataLoss: the list does not have the version's manifest digest.
    """
    paths.check_all(file.path for file in files)
    found = manifest.digest(files)
    if found != version.manifest_digest:
        raise errors.DataLoss(
            f"The list of files of {version.ref} has the digest {found} instead of"
            f" {version.manifest_digest}; nothing was fetched. Tell whoever runs the registry.",
            reason="MANIFEST_MISMATCH",
        )
