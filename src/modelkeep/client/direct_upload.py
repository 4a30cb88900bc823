"""Sending the parts of an upload straight to the store."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

import google_crc32c

from modelkeep.client import (
    concurrency,
    errors,
    records,
    routes,
    store_errors,
    transfer_calls,
    tree,
    workers,
)

_PIECE_BYTES = 1024 * 1024
_CHANGED_CODES = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be sent, and who hears how it gets on.

    Attributes:
        file: what it was seen as.
        descriptor: of the open file.
        pool: the threads that checksum.
        on_sent: hears on the loop that so many bytes from that offset went out.
        on_durable: hears what the upload is when more of it is durable.
    """

    file: tree.LocalFile
    descriptor: int
    pool: workers.Workers
    on_sent: Callable[[int, int], None]
    on_durable: Callable[[records.Upload], None]

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes [start, end) of the file, never much of them at once; for a thread."""
        while start < end:
            size = min(_PIECE_BYTES, end - start)
            piece = os.pread(self.descriptor, size, self.file.start + start)
            if not piece:
                raise tree.changed(self.file.path)
            yield piece
            start += len(piece)

    def crc32c(self, start: int, end: int) -> int:
        """The checksum of these bytes; for a thread."""
        crc32c = 0
        for piece in self.pieces(start, end):
            crc32c = google_crc32c.extend(crc32c, piece)
        return crc32c


async def send(
    upload: records.Upload,
    source: Source,
    calls: transfer_calls.TransferCalls,
    route: routes.Route,
) -> None:
    """Make all parts of the upload durable that are not; the caller has it verified then.

    Raises:
        FileChanged: the file is not what was hashed.
        RegistryError: the store or the server refused or failed; ask for the upload's state.
    """
    parts = _Parts(upload, source, calls, route)
    await concurrency.for_each(_missing(upload), parts.send, at_once=routes.AT_ONCE)


def _missing(upload: records.Upload) -> Iterator[int]:
    """Numbers of the parts that are not durable."""
    for start in range(0, upload.size_bytes, upload.part_size_bytes):
        if not any(low <= start < high for low, high in upload.persisted_ranges):
            yield start // upload.part_size_bytes + 1


class _Parts:
    """The parts of one upload on their way."""

    def __init__(
        self,
        upload: records.Upload,
        source: Source,
        calls: transfer_calls.TransferCalls,
        route: routes.Route,
    ) -> None:
        self._upload = upload
        self._source = source
        self._calls = calls
        self._route = route

    async def send(self, number: int) -> None:
        """Put one part and have it confirmed."""
        async with self._route.turns:
            start = (number - 1) * self._upload.part_size_bytes
            end = min(start + self._upload.part_size_bytes, self._upload.size_bytes)
            crc32c = await self._source.pool.submit(lambda: self._source.crc32c(start, end))
            await self._put_and_confirm(number, crc32c)

    async def _put_and_confirm(self, number: int, crc32c: int) -> None:
        name = self._upload.name
        for is_last in (False, True):
            urls = await self._calls.create_part_urls(name, {number: crc32c})
            if not urls.urls:  # somebody else was faster
                self._source.on_durable(urls.upload)
                return
            etag = await self._put(urls.urls[0], is_last=is_last)
            if etag is not None:
                sent = transfer_calls.SentPart(number, crc32c, etag)
                known = await self._calls.confirm_parts(name, urls.stream, [sent])
                self._source.on_durable(known)
                return

    async def _put(self, url: transfer_calls.TransferUrl, *, is_last: bool) -> str | None:
        """The tag of the stored part; None if the URL may have expired before it was used."""
        loop, source = asyncio.get_running_loop(), self._source

        def pieces() -> Iterator[bytes]:
            offset = url.start
            for piece in source.pieces(url.start, url.end):
                yield piece
                loop.call_soon_threadsafe(source.on_sent, offset, len(piece))
                offset += len(piece)

        try:
            etag = await self._route.line.put(url, pieces)
        except store_errors.StoreAway as failure:
            raise self._route.broken(url.host, failure) from None
        except store_errors.StoreRefusal as refusal:
            if refusal.status == HTTPStatus.FORBIDDEN and not is_last:
                return None
            raise self._meaning(url, refusal) from None
        self._route.moved(url.end - url.start)
        return etag

    def _meaning(
        self, url: transfer_calls.TransferUrl, refusal: store_errors.StoreRefusal
    ) -> errors.RegistryError:
        if refusal.code in _CHANGED_CODES:
            self._source.file.check_unchanged(os.fstat(self._source.descriptor))
            return errors.Unavailable(
                f"Part {url.part_number} arrived damaged at the store.", reason="PART_DAMAGED"
            )
        if refusal.code == "NoSuchUpload":
            # It was completed or given up meanwhile; or the store has lost it, which the server
            # finds out when the bytes come its way.
            self._route.avoid(self._upload.name)
            return errors.Unavailable(
                f"The store does not know {self._upload.name} any more.", reason="UPLOAD_GONE"
            )
        return self._route.broken(url.host, refusal)
