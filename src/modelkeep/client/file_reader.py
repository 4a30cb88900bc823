"""Reading one file of a version, or some of its bytes, across interruptions."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from modelkeep.client import errors, hashing, patience, progress, wire_chunks

OpenStream = Callable[[int, int], AsyncGenerator[wire_chunks.ReadChunk, None]]
"""Begins to read at an offset, at most so many bytes (0: to the end)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to read: bytes [offset, offset + length) of a file; a length of None is to its end."""

    path: str
    offset: int = 0
    length: int | None = None
    stall_s: float = patience.DEFAULT_STALL_S

    def __post_init__(self) -> None:
        if self.offset < 0 or (self.length is not None and self.length < 0):
            raise errors.InvalidRequest(
                f"Offset {self.offset} and length {self.length} must not be negative.",
                reason="BAD_RANGE",
            )


class FileReader:
    """One reading; each block was checked by its CRC32C, the whole file is by its digest too.

    Args:
        open_stream: begins to read at an offset, at most so many bytes (0: to the end).
        order: what to read.
    """

    def __init__(self, open_stream: OpenStream, order: Order) -> None:
        self._open_stream = open_stream
        self._order = order
        self._position = order.offset
        self._end: int | None = None
        self._digest = ""
        self._running = hashlib.sha256()
        self._size_bytes = -1

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The bytes in order.

        Raises:
            DataLoss: the store has damaged them, or the whole does not have the file's digest.
            RegistryError: refused, or interrupted for too long.
        """
        if self._order.length == 0:
            return
        waits = patience.Patience(self._order.stall_s, progress.Progress(), may_pass)
        while self._end is None or self._position < self._end:
            try:
                reading = self._read_on()
                async with contextlib.aclosing(reading):
                    async for block in reading:
                        yield block
            except errors.RegistryError as failure:
                waits.reached(self._position - self._order.offset)
                await waits.after(failure)
        self._require_digest()

    async def _read_on(self) -> AsyncGenerator[bytes, None]:
        reading = self._open_stream(self._position, self._left())
        async with contextlib.aclosing(reading):
            async for chunk in reading:
                self._identify(chunk)
                if self._is_whole:
                    await asyncio.to_thread(self._running.update, chunk.content)
                self._position += len(chunk.content)
                yield chunk.content
        if self._end is None or self._position < self._end:
            raise errors.Unavailable(
                f"The stream of {self._order.path} ended at byte {self._position}.", reason="CUT"
            )

    def _left(self) -> int:
        length = self._order.length
        return 0 if length is None else self._order.offset + length - self._position

    def _identify(self, chunk: wire_chunks.ReadChunk) -> None:
        if not chunk.digest:
            return
        if self._digest and chunk.digest != self._digest:
            raise errors.Conflict(
                f"{self._order.path} became another file while it was read; read it again.",
                reason="FILE_REPLACED",
            )
        self._digest, self._size_bytes = chunk.digest, chunk.size_bytes
        length = self._order.length
        wanted = chunk.size_bytes if length is None else self._order.offset + length
        self._end = min(wanted, chunk.size_bytes)

    @property
    def _is_whole(self) -> bool:
        return self._order.offset == 0 and self._end == self._size_bytes

    def _require_digest(self) -> None:
        found = hashing.text_of(self._running)
        if self._is_whole and found != self._digest:
            raise errors.DataLoss(
                f"{self._order.path} arrived with the digest {found} instead of {self._digest};"
                " do not use what came of it.",
                reason="DIGEST_MISMATCH",
                metadata={"path": self._order.path},
            )


def may_pass(failure: errors.RegistryError) -> bool:
    """Whether reading on from the same byte may succeed a little later."""
    if failure.reason in {"CHUNK_CHECKSUM", "WRONG_OFFSET"}:
        return True
    return patience.is_passing(failure) and failure.reason != "FILE_REPLACED"
