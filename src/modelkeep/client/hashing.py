"""SHA-256 of files, in threads, in pieces short enough to be cancelled."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from modelkeep.client import manifest, tree, workers

BLOCK_BYTES = 1024 * 1024
PIECE_BYTES = 16 * BLOCK_BYTES
"""How much one call in a thread hashes: about 15 ms."""


class Hash(Protocol):
    """A running hash."""

    def update(self, block: bytes | memoryview, /) -> None:
        """Take more bytes in."""

    def hexdigest(self) -> str:
        """The hash of all bytes so far, in hexadecimal."""
        ...


def text_of(running: Hash) -> str:
    """`sha256:` and the hexadecimal digits."""
    return f"{manifest.PREFIX}{running.hexdigest()}"


async def digest_local(
    file: tree.LocalFile, pool: workers.Workers, on_bytes: Callable[[int], None]
) -> str:
    """The digest of a file that is to be pushed; `on_bytes` hears how far it is.

    Raises:
        FileChanged: the file is not as it was seen.
    """
    with file.source.open("rb", buffering=0) as opened:
        descriptor = opened.fileno()
        running = hashlib.sha256()
        read = await _absorb(descriptor, file.size_bytes, running, pool, on_bytes, start=file.start)
        if read != file.size_bytes:
            raise tree.changed(file.path)
        file.check_unchanged(os.fstat(descriptor))
    return text_of(running)


async def digest_together(files: Sequence[tree.LocalFile], pool: workers.Workers) -> list[str]:
    """The digests of small files, by one piece of work: a thread's turn costs more than a file.

    Raises:
        FileChanged: a file is not as it was seen.
    """
    return await pool.submit(
        lambda: [text_of(hashlib.sha256(tree.content_of(file))) for file in files]
    )


async def absorb_file(path: Path, size_bytes: int, running: Hash, pool: workers.Workers) -> int:
    """Feed the first bytes of a file into a hash; answers how many there were."""
    with path.open("rb", buffering=0) as opened:
        return await _absorb(opened.fileno(), size_bytes, running, pool, lambda _: None)


async def _absorb(
    descriptor: int,
    size_bytes: int,
    running: Hash,
    pool: workers.Workers,
    on_bytes: Callable[[int], None],
    *,
    start: int = 0,
) -> int:
    """Hash `size_bytes` from `start` on; answers how many there were."""
    offset = 0
    while offset < size_bytes:
        end = min(offset + PIECE_BYTES, size_bytes)
        reached = await pool.submit(_piece(descriptor, start + offset, start + end, running))
        if reached == start + offset:
            break
        offset = reached - start
        on_bytes(offset)
    return offset


def _piece(descriptor: int, start: int, end: int, running: Hash) -> Callable[[], int]:
    def work() -> int:
        offset = start
        while offset < end:
            block = os.pread(descriptor, min(BLOCK_BYTES, end - offset), offset)
            if not block:
                break
            running.update(block)
            offset += len(block)
        return offset

    return work
