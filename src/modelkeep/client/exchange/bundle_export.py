"""Writing a bundle: the index, then every blob once, as they come from the registry."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelkeep.client import batching, errors, hashing, progress, records, refs, workers
from modelkeep.client.exchange import (
    bundle_collect,
    bundle_evaluations,
    bundle_file,
    bundle_index,
    bundle_records,
    bundle_tar,
    reports,
)

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry


class Export:
    """One export; `run` is called once."""

    def __init__(
        self, registry: "Registry", pool: workers.Workers, listener: progress.Progress
    ) -> None:
        self._registry = registry
        self._pool = pool
        self._listener = listener

    async def run(self, ref: refs.Ref, path: Path) -> reports.ExportReport:
        """Write the bundle, read it back and compare it; the file has its name only then.

        Raises:
            Refused: there is a file of that name.
            NotFound: there is nothing to export.
            DataLoss: bytes of the registry do not have their digest.
        """
        await self._pool.submit(lambda: _require_absent(path))
        limits = await self._registry.capabilities()
        bundle, notes = await bundle_collect.collect(self._registry, ref)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as opened:
                digest = await self._write(bundle, opened, batching.Limits.of(limits))
            written = await self._pool.submit(lambda: bundle_file.read(part))
            await written.check_bytes(self._pool, self._listener)
            size_bytes = await self._pool.submit(lambda: _named(part, path))
        finally:
            part.unlink(missing_ok=True)
        return reports.ExportReport(
            ref=str(ref),
            file=path,
            size_bytes=size_bytes,
            digest=digest,
            counts=_compared(bundle, written.bundle),
            notes=tuple(notes),
        )

    async def _write(
        self, bundle: bundle_records.Bundle, opened: BinaryIO, limits: batching.Limits
    ) -> str:
        """Write everything; answers the digest of the whole tar."""
        tape = _Tape(opened, self._pool)
        measured = await self._pool.submit(lambda: bundle_evaluations.encode(bundle.evaluations))
        index = bundle_index.encode(bundle, bundle_evaluations.part_of(measured))
        if len(index) > bundle_records.MAX_INDEX_BYTES:
            raise errors.LimitReached(
                f"What is to be said of {bundle.name} takes {len(index)} bytes, and a bundle has"
                f" room for {bundle_records.MAX_INDEX_BYTES}; export its versions one by one.",
                reason="INDEX_TOO_LARGE",
            )
        await tape.member(bundle_records.INDEX_NAME, len(index), _once(index))
        if measured:
            await tape.member(bundle_records.EVALUATIONS_NAME, len(measured), _once(measured))
        self._listener.step_began(
            progress.Step.FETCH, len(bundle.blobs), sum(bundle.blobs.values())
        )
        namespace = refs.parse_model(bundle.name).namespace
        for group in _groups(bundle.blobs, limits):
            small = await self._read_together(namespace, group, limits)
            for digest in group:
                await self._copy(bundle, digest, small.get(digest), tape)
        self._listener.step_ended(progress.Step.FETCH)
        await tape.end()
        return tape.digest

    async def _read_together(
        self, namespace: str, digests: Sequence[str], limits: batching.Limits
    ) -> dict[str, bytes]:
        """Small blobs by one call; what did not come that way is streamed by itself."""
        if len(digests) < 2 or not limits.items:  # noqa: PLR2004 - one is no batch
            return {}
        outcomes = await self._registry.read_blobs(namespace, digests)
        return {outcome.digest: outcome.content for outcome in outcomes if outcome.is_ok}

    async def _copy(
        self,
        bundle: bundle_records.Bundle,
        digest: str,
        content: bytes | None,
        tape: "_Tape",
    ) -> None:
        ref, file = _holder(bundle, digest)
        self._listener.file_began(file.path, file.size_bytes, 0)
        blocks = (
            _once(content) if content is not None else self._registry.stream_file(ref, file.path)
        )
        found = await tape.member(bundle_records.blob_name(digest), file.size_bytes, blocks)
        if found != digest:
            raise errors.DataLoss(
                f"{file.path} of {ref} arrived with the digest {found} instead of {digest}; have it"
                f" checked with `modelkeep verify {ref}`.",
                reason="DIGEST_MISMATCH",
            )
        self._listener.file_ended(file.path)


def _require_absent(path: Path) -> None:
    if path.exists():
        raise errors.Refused(
            f"{path} is there already; name another file, or remove it.", reason="FILE_EXISTS"
        )


def _named(part: Path, path: Path) -> int:
    """Give the finished file its name; answers its size in bytes."""
    size_bytes = part.stat().st_size
    part.replace(path)
    return size_bytes


def _groups(blobs: dict[str, int], limits: batching.Limits) -> Iterator[list[str]]:
    """Neighbours that are small, together; every other blob by itself; in their order."""
    small: list[str] = []
    for digest, size_bytes in blobs.items():
        if limits.take(size_bytes):
            small.append(digest)
            continue
        yield from batching.packed(small, blobs.__getitem__, limits)
        small = []
        yield [digest]
    yield from batching.packed(small, blobs.__getitem__, limits)


def _holder(bundle: bundle_records.Bundle, digest: str) -> tuple[str, records.File]:
    """The first version with that blob, and the file of it."""
    return next(
        (f"{bundle.name}@{version.version}", file)
        for version in bundle.versions
        for file in version.files
        if file.digest == digest
    )


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


class _Tape:
    """The tar as it is written; hashed and written in threads, block by block."""

    def __init__(self, opened: BinaryIO, pool: workers.Workers) -> None:
        self._opened = opened
        self._pool = pool
        self._whole = hashlib.sha256()
        self._written_bytes = 0

    @property
    def digest(self) -> str:
        """Of all that was written."""
        return hashing.text_of(self._whole)

    async def member(self, name: str, size_bytes: int, blocks: AsyncGenerator[bytes, None]) -> str:
        """Write one member; answers the digest of its bytes."""
        await self._write(bundle_tar.header(name, size_bytes))
        running, begun_at = hashlib.sha256(), self._written_bytes
        async with contextlib.aclosing(blocks):
            async for block in blocks:
                await self._write(block, running)
        found = self._written_bytes - begun_at
        if found != size_bytes:
            raise errors.DataLoss(
                f"{name} arrived with {found} bytes instead of {size_bytes}.",
                reason="SIZE_MISMATCH",
            )
        await self._write(bytes(bundle_tar.padded(size_bytes) - size_bytes))
        return hashing.text_of(running)

    async def end(self) -> None:
        """Write what ends a tar."""
        await self._write(bundle_tar.ending(self._written_bytes))

    async def _write(self, block: bytes, running: hashing.Hash | None = None) -> None:
        def work() -> None:
            self._opened.write(block)
            self._whole.update(block)
            if running is not None:
                running.update(block)

        # Shielded: a thread that writes cannot be stopped, and the file is closed next.
        await asyncio.shield(self._pool.submit(work))
        self._written_bytes += len(block)


def _compared(
    source: bundle_records.Bundle, target: bundle_records.Bundle
) -> tuple[reports.Count, ...]:
    tally = reports.Tally()
    there = {version.version: version for version in target.versions}
    for version in source.versions:
        tally.count("versions", 1, int(there.get(version.version) == version))
        kept = set(there[version.version].files) if version.version in there else set()
        equal = [file for file in version.files if file in kept]
        tally.count("files", len(version.files), len(equal))
        tally.count(
            "bytes", sum(f.size_bytes for f in version.files), sum(f.size_bytes for f in equal)
        )
    tally.count("digests", len(source.blobs), len(source.blobs.keys() & target.blobs.keys()))
    for what in ("aliases", "alias_history", "stage_history"):
        ours, theirs = getattr(source, what), getattr(target, what)
        tally.count(what.replace("_", " "), len(ours), sum(one in theirs for one in ours))
    for what in ("evaluations", "links"):
        _count_records(tally, what, getattr(source, what), getattr(target, what))
    return tally.counts


def _count_records(
    tally: reports.Tally, what: str, ours: Sequence[object], theirs: Sequence[object]
) -> None:
    """Count what is at the same place; nothing is told of what there is none of."""
    if ours or theirs:
        same = sum(mine == read for mine, read in zip(ours, theirs, strict=False))
        tally.count(what, len(ours), same)
