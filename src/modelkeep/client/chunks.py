"""A file's bytes in chunks with their checksums, read ahead in threads."""

import asyncio
import collections
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import google_crc32c

from modelkeep.client import workers

READ_AHEAD = 4
"""Chunks read before they are needed; with 1 MiB chunks and 4 files this holds 16 MiB."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a file from `offset`, and their CRC32C."""

    offset: int
    content: bytes
    crc32c: int


async def read(
    descriptor: int,
    start: int,
    end: int,
    chunk_bytes: int,
    pool: workers.Workers,
    *,
    origin: int = 0,
) -> AsyncGenerator[Chunk, None]:
    """The bytes [start, end) in order; a shorter chunk means the file ended.

    They are counted from the byte `origin` of the open file.
    """
    ahead: collections.deque[asyncio.Future[Chunk]] = collections.deque()
    offset = start
    try:
        while ahead or offset < end:
            while offset < end and len(ahead) < READ_AHEAD:
                size = min(chunk_bytes, end - offset)
                ahead.append(pool.submit(_reading(descriptor, offset, size, origin)))
                offset += size
            chunk = await asyncio.shield(ahead[0])
            ahead.popleft()
            yield chunk
    finally:
        # The descriptor is closed next; no thread may still read from its number then.
        await asyncio.gather(*ahead, return_exceptions=True)


def _reading(descriptor: int, offset: int, size: int, origin: int) -> Callable[[], Chunk]:
    def work() -> Chunk:
        content = os.pread(descriptor, size, origin + offset)
        return Chunk(offset, content, google_crc32c.value(content))

    return work
