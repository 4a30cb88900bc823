"""A push: reserve the version, send what the registry lacks, seal it."""

import asyncio
import dataclasses
import functools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modelkeep.client import (
    batching,
    concurrency,
    digesting,
    errors,
    media_types,
    patience,
    progress,
    records,
    refs,
    reservation,
    routes,
    small_push,
    specs,
    tree,
    upload,
    workers,
)

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

FILES_AT_ONCE = 4
DEFAULT_STREAMS = 1
"""Streams of one large file; see docs/benchmarks.md."""
_FIND_AT_ONCE = 1000
_CHUNK_BYTES = 1024 * 1024
_Errand = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to push: `path` is None for a prompt, which has no files.

    With a `bump`, `ref` names the model only; `allow_same` makes a version even if the latest
    release has the same content.
    """

    ref: refs.Ref
    path: Path | None
    draft: specs.Draft
    kind: records.ModelKind | None = None
    bump: records.Bump | None = None
    allow_same: bool = False
    via: routes.Via = routes.Via.AUTO
    files_at_once: int = FILES_AT_ONCE
    streams: int = DEFAULT_STREAMS
    stall_s: float = patience.DEFAULT_STALL_S
    listener: progress.Progress = field(default_factory=progress.Progress)


def listed(one: tree.HashedFile) -> records.File:
    """The file as a version lists it."""
    return records.File(
        path=one.local.path,
        digest=one.digest,
        size_bytes=one.local.size_bytes,
        media_type=one.local.media_type or media_types.of_path(one.local.path),
    )


class Push:
    """One push; `run` is called once."""

    def __init__(self, registry: "Registry", order: Order, pool: workers.Workers) -> None:
        self._registry = registry
        self._order = order
        self._listener = order.listener
        self._pool = pool
        self._began = time.monotonic()
        self._sent_bytes = 0
        self._direct_bytes = 0
        self._limits: records.Capabilities | None = None

    async def run(self) -> records.PushResult:
        """Push, and tell what was done. Every failure leaves what a later push goes on from."""
        return await self.run_hashed(
            await digesting.digest_all(await self._walk(), self._pool, self._listener)
        )

    async def run_hashed(self, hashed: Sequence[tree.HashedFile]) -> records.PushResult:
        """Push these files instead of what is at the order's path; see `run`."""
        if hashed and self._limits is None:
            self._limits = await self._registry.capabilities()
            _check_limits([one.local for one in hashed], self._limits)
        files = [listed(one) for one in hashed]
        sealed = await reservation.reserve(self._registry, self._order, files)
        self._order = dataclasses.replace(self._order, ref=refs.parse(sealed.name))
        is_new = False
        if sealed.state is records.VersionState.DRAFT:
            await self._send_missing(hashed)
            sealed, is_new = await reservation.seal(self._registry, self._order, sealed, files)
        elif sealed.state is records.VersionState.QUARANTINED:
            await self._send_missing(hashed)
            reservation.require_repaired(
                sealed, was_sent=self._sent_bytes > 0, listener=self._listener
            )
        return records.PushResult(
            version=sealed,
            files=sealed.file_count,
            total_bytes=sealed.total_bytes,
            sent_bytes=self._sent_bytes,
            seconds=time.monotonic() - self._began,
            is_new=is_new,
            direct_bytes=self._direct_bytes,
        )

    async def _walk(self) -> list[tree.LocalFile]:
        path = self._order.path
        if path is None:
            return []
        # Asked first: a wrong endpoint should show before gigabytes are hashed.
        self._limits = await self._registry.capabilities()
        files = await self._pool.submit(lambda: tree.walk(path))
        _check_limits(files, self._limits)
        return files

    async def _send_missing(self, hashed: Sequence[tree.HashedFile]) -> None:
        missing = await self._missing(hashed)
        with routes.opened(self._order.via, self._limits, self._order.stall_s) as route:
            try:
                await self._send_all(missing, route)
            finally:
                self._direct_bytes = route.direct_bytes

    async def _send_all(self, missing: Sequence[tree.HashedFile], route: routes.Route) -> None:
        settings = upload.Settings(
            connection=self._registry,
            namespace=self._order.ref.namespace,
            chunk_bytes=self._limits.chunk_bytes if self._limits else _CHUNK_BYTES,
            streams=self._streams(),
            turns=asyncio.Semaphore(max(self._order.files_at_once, self._order.streams)),
            stall_s=self._order.stall_s,
            pool=self._pool,
            listener=self._listener,
            on_sent=self._count,
            calls=self._registry,
            route=route,
        )

        async def send_one(one: tree.HashedFile) -> None:
            await upload.send(one.local, one.digest, settings)

        self._begin(progress.Step.SEND, [one.local for one in missing])
        await concurrency.for_each(
            self._errands(missing, send_one), _run, at_once=self._order.files_at_once
        )
        self._listener.step_ended(progress.Step.SEND)

    def _errands(
        self,
        missing: Sequence[tree.HashedFile],
        send_one: Callable[[tree.HashedFile], Awaitable[None]],
    ) -> Iterator[_Errand]:
        """Large files one by one, then small ones in batches."""
        limits = batching.Limits.of(self._limits) if self._limits else batching.Limits(0, 0, 0)
        small = [one for one in missing if limits.take(one.local.size_bytes)]
        # A batch lies together in the store, and a pull asks in this order.
        small.sort(key=lambda one: one.local.path.encode())
        yield from (
            functools.partial(send_one, one)
            for one in missing
            if not limits.take(one.local.size_bytes)
        )
        together = small_push.SmallPush(
            small_push.Settings(
                connection=self._registry,
                namespace=self._order.ref.namespace,
                pool=self._pool,
                listener=self._listener,
                on_sent=self._count,
                single=send_one,
            )
        )
        for batch in batching.packed(small, lambda one: one.local.size_bytes, limits):
            yield functools.partial(together.send, batch)

    async def _missing(self, hashed: Sequence[tree.HashedFile]) -> list[tree.HashedFile]:
        """One file of each digest the registry lacks, the largest first."""
        by_digest = {one.digest: one for one in hashed}
        digests = list(by_digest)
        missing: list[tree.HashedFile] = []
        for start in range(0, len(digests), _FIND_AT_ONCE):
            wanted = digests[start : start + _FIND_AT_ONCE]
            found = await self._registry.find_missing(self._order.ref.namespace, wanted)
            missing.extend(by_digest[digest] for digest in found)
        return sorted(missing, key=lambda one: -one.local.size_bytes)

    def _streams(self) -> int:
        most = self._limits.max_streams_per_upload if self._limits else 1
        return max(1, min(self._order.streams, most))

    def _begin(self, step: progress.Step, files: Sequence[tree.LocalFile]) -> None:
        total = sum(file.size_bytes for file in files)
        self._listener.step_began(step, len(files), total)

    def _count(self, sent_bytes: int) -> None:
        self._sent_bytes += sent_bytes


async def _run(errand: _Errand) -> None:
    await errand()


def _check_limits(files: Sequence[tree.LocalFile], limits: records.Capabilities) -> None:
    if len(files) > limits.max_files_per_version:
        raise errors.LimitReached(
            f"There are {len(files)} files; this registry takes at most"
            f" {limits.max_files_per_version} in a version.",
            reason="TOO_MANY_FILES",
        )
    for file in files:
        if file.size_bytes > limits.max_blob_bytes:
            raise errors.LimitReached(
                f"{file.path} has {file.size_bytes} bytes; this registry takes at most"
                f" {limits.max_blob_bytes} in a file.",
                reason="FILE_TOO_LARGE",
            )
