"""Crossings of direct transfer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from modelkeep.domain import blobs, checks, limits, names, transfers
from modelkeep.transport import convert
from modelkeep.transport import convert_artifacts as crossing
from modelkeep.v1 import artifact_service_pb2 as pb

Readable = names.BlobName | names.FileName


@dataclass(frozen=True, slots=True)
class Sending:
    """Arguments of `Transfers.send_urls`."""

    name: names.UploadName
    parts: Sequence[transfers.PartToSend]


@dataclass(frozen=True, slots=True)
class Reading:
    """Arguments of `Transfers.read_urls`."""

    name: Readable
    span: blobs.Span


def wanted_from_wire(request: pb.CreateTransferUrlsRequest) -> Sending | Reading:
    """What URLs are asked for."""
    if "/uploads/" in request.name and "/models/" not in request.name:
        return _sending(request)
    with checks.Checks() as found:
        name = found.make("name", partial(crossing.readable_name, request.name))
        span = found.make("", partial(blobs.Span, request.offset, request.limit))
        found.require(not request.parts, "parts", "are of uploads; a blob is read by offset")
    return Reading(name, span)


def _sending(request: pb.CreateTransferUrlsRequest) -> Sending:
    with checks.Checks() as found:
        name = found.make("name", partial(names.UploadName.parse, request.name))
        asked = request.parts[: limits.TRANSFER_URLS]
        parts = found.make_each(
            "parts", (partial(transfers.PartToSend, part.number, part.crc32c) for part in asked)
        )
        found.size("parts", request.parts, limits.TRANSFER_URLS, least=1)
        for field in ("offset", "limit"):
            found.require(
                not getattr(request, field), field, "is of blobs; an upload is sent in parts"
            )
    return Sending(name, parts)


def confirm_from_wire(
    request: pb.ConfirmPartsRequest,
) -> tuple[names.UploadName, int, Sequence[transfers.SentPart]]:
    """Arguments of `Transfers.confirm`."""
    with checks.Checks() as found:
        name = found.make("name", partial(names.UploadName.parse, request.name))
        found.number("stream", request.stream, 0, limits.INT64_MAX)
        parts = found.make_each(
            "sent_parts", map(_sent_part, request.sent_parts[: limits.TRANSFER_URLS])
        )
        found.size("sent_parts", request.sent_parts, limits.TRANSFER_URLS, least=1)
    return name, request.stream, parts


def _sent_part(part: pb.SentPart) -> "partial[transfers.SentPart]":
    return partial(transfers.SentPart, part.number, part.crc32c, part.etag.strip('"'))


def part_urls_to_wire(urls: transfers.PartUrls) -> pb.CreateTransferUrlsResponse:
    """URLs for parts of an upload."""
    return pb.CreateTransferUrlsResponse(
        urls=map(_url_to_wire, urls.urls),
        stream=urls.stream,
        upload=crossing.upload_to_wire(urls.upload),
    )


def range_urls_to_wire(urls: transfers.RangeUrls) -> pb.CreateTransferUrlsResponse:
    """URLs for ranges of a blob."""
    return pb.CreateTransferUrlsResponse(
        urls=map(_url_to_wire, urls.urls),
        blob=pb.BlobDescriptor(digest=urls.blob.digest, size_bytes=urls.blob.size_bytes),
    )


def _url_to_wire(url: transfers.TransferUrl) -> pb.TransferUrl:
    return pb.TransferUrl(
        method=url.method,
        url=url.url,
        headers=url.headers,
        range=pb.ByteRange(start=url.place.start, end=url.place.end),
        expire_time=convert.timestamp_to_wire(url.expires_at),
        part_number=url.part_number,
        crc32c=url.crc32c,
    )
