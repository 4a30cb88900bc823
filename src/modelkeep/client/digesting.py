"""Finding the digests of many files: large ones by themselves, small ones together."""

import functools
import os
from collections.abc import Awaitable, Callable, Sequence

from modelkeep.client import batching, concurrency, hashing, progress, tree, workers

_TOGETHER = batching.Limits(256 * 1024, 4 * 1024 * 1024, 64)
_Errand = Callable[[], Awaitable[None]]


async def digest_all(
    files: Sequence[tree.LocalFile], pool: workers.Workers, listener: progress.Progress
) -> list[tree.HashedFile]:
    """The files with their digests, sorted by path.

    Raises:
        FileChanged: a file is not as it was seen.
    """
    hashed: list[tree.HashedFile] = []

    async def hash_one(file: tree.LocalFile) -> None:
        listener.file_began(file.path, file.size_bytes, 0)
        digest = await hashing.digest_local(
            file, pool, lambda done: listener.file_moved(file.path, done)
        )
        hashed.append(tree.HashedFile(file, digest))
        listener.file_ended(file.path)

    async def hash_together(group: Sequence[tree.LocalFile]) -> None:
        digests = await hashing.digest_together(group, pool)
        for file, digest in zip(group, digests, strict=True):
            listener.file_began(file.path, file.size_bytes, 0)
            listener.file_moved(file.path, file.size_bytes)
            listener.file_ended(file.path)
            hashed.append(tree.HashedFile(file, digest))

    small = [file for file in files if _TOGETHER.take(file.size_bytes)]
    errands: list[_Errand] = [
        functools.partial(hash_one, file) for file in files if not _TOGETHER.take(file.size_bytes)
    ]
    groups = batching.packed(small, lambda file: file.size_bytes, _TOGETHER)
    errands += [functools.partial(hash_together, group) for group in groups]
    listener.step_began(progress.Step.HASH, len(files), sum(file.size_bytes for file in files))
    await concurrency.for_each(errands, _run, at_once=min(4, os.cpu_count() or 1))
    listener.step_ended(progress.Step.HASH)
    return sorted(hashed, key=lambda one: one.local.path.encode())


async def _run(errand: _Errand) -> None:
    await errand()
