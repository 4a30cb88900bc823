"""Calls of direct transfer: URLs of the store, and the parts that were put by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib import parse

from modelkeep.client import connection, convert, records
from modelkeep.v1 import artifact_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class TransferUrl:
    """One request that the store will answer for a while; `url` is a secret.

    It is about bytes [start, end) of the blob, whose CRC32C is `crc32c` if that is known.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    start: int
    end: int
    part_number: int = 0
    crc32c: int | None = None

    @property
    def host(self) -> str:
        """The store's host, which is no secret."""
        return parse.urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class PartUrls:
    """URLs for parts of an upload; without those that are durable already."""

    stream: int
    urls: Sequence[TransferUrl]
    upload: records.Upload


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that was put: its number, its CRC32C and the tag that the store gave it."""

    number: int
    crc32c: int
    etag: str


class TransferCalls(connection.Connection):
    """The calls of a transfer that goes past the server."""

    async def create_part_urls(self, upload: str, crc32cs: Mapping[int, int]) -> PartUrls:
        """URLs to put these parts by, given the CRC32C of each number."""
        parts = [pb.PartToSend(number=number, crc32c=crc32cs[number]) for number in crc32cs]
        request = pb.CreateTransferUrlsRequest(name=upload, parts=parts)
        answer = await self._call(self._artifacts.CreateTransferUrls, request)
        urls = [_url_from_wire(url) for url in answer.urls]
        return PartUrls(answer.stream, urls, convert.upload_from_wire(answer.upload))

    async def create_range_urls(
        self, name: str, *, offset: int = 0, limit: int = 0
    ) -> list[TransferUrl]:
        """URLs to get a blob or file by, from `offset` on, for `limit` bytes (0: to the end).

        They may end before that; go on where the last one does.
        """
        request = pb.CreateTransferUrlsRequest(name=name, offset=offset, limit=limit)
        answer = await self._call(self._artifacts.CreateTransferUrls, request)
        return [_url_from_wire(url) for url in answer.urls]

    async def confirm_parts(
        self, upload: str, stream: int, parts: Sequence[SentPart]
    ) -> records.Upload:
        """Have parts recorded that were put by URLs of that stream; the upload as it then is."""
        sent = [
            pb.SentPart(number=part.number, crc32c=part.crc32c, etag=part.etag) for part in parts
        ]
        request = pb.ConfirmPartsRequest(name=upload, stream=stream, sent_parts=sent)
        answer = await self._call(self._artifacts.ConfirmParts, request)
        return convert.upload_from_wire(answer.upload)


def _url_from_wire(wire: pb.TransferUrl) -> TransferUrl:
    return TransferUrl(
        method=wire.method,
        url=wire.url,
        headers=dict(wire.headers),
        start=wire.range.start,
        end=wire.range.end,
        part_number=wire.part_number,
        crc32c=wire.crc32c if wire.HasField("crc32c") else None,
    )
