"""Direct transfer: bytes that go between a client and the store, by URLs that the server signs."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from modelkeep.domain import blobs, checks, errors, limits, uploads

_ETAG_CHARS = 256
_CRC32C_MAX = 2**32 - 1
RANGE_BYTES = limits.MIN_PART_BYTES
"""The most that one URL reads, so that a client can hold several answers in memory."""


@dataclass(frozen=True, slots=True)
class PartToSend:
    """A part that a client wants to send: its number, from 1, and the CRC32C of its bytes."""

    number: int
    crc32c: int

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("number", self.number, 1, limits.MAX_PARTS)


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that a client says it has sent: number, CRC32C, and the tag that the store gave it."""

    number: int
    crc32c: int
    etag: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("number", self.number, 1, limits.MAX_PARTS)
            found.text("etag", self.etag, _ETAG_CHARS)
            found.require(bool(self.etag), "etag", "is missing; it is in the store's answer")


@dataclass(frozen=True, slots=True)
class TransferUrl:
    """One request that the bearer may send to the store until `expires_at`.

    The request must carry the headers exactly as given: they are signed. The URL is a secret.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    place: uploads.ByteRange
    expires_at: datetime.datetime
    part_number: int = 0
    crc32c: int | None = None


@dataclass(frozen=True, slots=True)
class PartUrls:
    """URLs for the parts that are still to be sent, under the number of their stream."""

    stream: int
    urls: tuple[TransferUrl, ...]
    upload: uploads.Upload


@dataclass(frozen=True, slots=True)
class RangeUrls:
    """URLs for consecutive ranges of a blob."""

    blob: blobs.Descriptor
    urls: tuple[TransferUrl, ...]


def require_parts(layout: uploads.Layout, numbers: Iterator[int], field_name: str) -> None:
    """Raise `errors.InvalidArgument` unless each number is a part's, and comes once."""
    seen: set[int] = set()
    with checks.Checks() as found:
        for n, number in enumerate(numbers):
            found.require(
                number <= layout.count,
                f"{field_name}[{n}].number",
                f"is {number}; this upload has {layout.count} parts",
            )
            found.require(number not in seen, f"{field_name}[{n}].number", f"is {number} once more")
            seen.add(number)


def ranges_of(layout: uploads.Layout, start: int, end: int) -> Iterator[uploads.ByteRange]:
    """Bytes [start, end) in consecutive ranges of which none crosses the border of a part."""
    while start < end:
        part = layout.range_of(layout.number_at(start))
        stop = min(part.end, start + RANGE_BYTES, end)
        yield uploads.ByteRange(start, stop)
        start = stop


def not_stored(upload: uploads.Upload, number: int) -> errors.FailedPrecondition:
    """The error for a part that a client says it has sent, and that the store does not have so."""
    return errors.FailedPrecondition(
        f"the store has no part {number} of {upload.name} with that tag and the part's size; "
        "ask for another URL and send it again",
        reason="PART_NOT_STORED",
        part=number,
    )


def not_offered() -> errors.FailedPrecondition:
    """The error of a server that gives no URLs out."""
    return errors.FailedPrecondition(
        "this server gives out no URLs of its store; use WriteUpload and ReadBlob, or have whoever "
        "runs it set MODELKEEP_S3_PUBLIC_ENDPOINT",
        reason="DIRECT_TRANSFER_OFF",
    )
