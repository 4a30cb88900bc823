"""Uploads: how a blob arrives in parts, and what is durable of it."""

import datetime
import enum
from collections.abc import Iterable
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits, names

LIFETIME = datetime.timedelta(days=7)
"""An upload is given up when nothing more of it became durable for so long."""


class UploadState(enum.StrEnum):
    """Where an upload stands."""

    ACTIVE = "active"
    VERIFYING = "verifying"
    COMMITTED = "committed"
    FAILED = "failed"
    ABORTED = "aborted"


OPEN = frozenset({UploadState.ACTIVE, UploadState.VERIFYING})
"""States from which an upload goes on."""


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes [start, end)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a blob is cut into parts, numbered from 1; the last one may be shorter."""

    size_bytes: int
    part_size_bytes: int

    @property
    def count(self) -> int:
        """Number of parts; 0 for an empty blob."""
        return -(-self.size_bytes // self.part_size_bytes)

    def range_of(self, number: int) -> ByteRange:
        """Where a part lies."""
        start = (number - 1) * self.part_size_bytes
        return ByteRange(start, min(start + self.part_size_bytes, self.size_bytes))

    def number_at(self, offset: int) -> int:
        """The part that holds the byte at `offset`."""
        return offset // self.part_size_bytes + 1

    def is_boundary(self, offset: int) -> bool:
        """Whether a part begins at `offset`."""
        return 0 <= offset < self.size_bytes and offset % self.part_size_bytes == 0


def part_size_for(size_bytes: int, least_bytes: int = limits.MIN_PART_BYTES) -> int:
    """Part size in bytes of a blob of this size, so that it has at most `limits.MAX_PARTS`."""
    return max(least_bytes, -(-size_bytes // limits.MAX_PARTS))


def merged(ranges: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """The same bytes in as few ranges as possible, sorted; empty ranges are dropped."""
    result: list[ByteRange] = []
    for each in sorted(ranges):
        if each.start >= each.end:
            continue
        if result and each.start <= result[-1].end:
            result[-1] = ByteRange(result[-1].start, max(result[-1].end, each.end))
        else:
            result.append(each)
    return tuple(result)


def first_missing(size_bytes: int, persisted: tuple[ByteRange, ...]) -> ByteRange | None:
    """The first range of a blob that is not in merged `persisted`, or None if all is."""
    reached = 0
    for each in persisted:
        if each.start > reached:
            return ByteRange(reached, each.start)
        reached = each.end
    return ByteRange(reached, size_bytes) if reached < size_bytes else None


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as it stands; `persisted` is merged and the whole once committed."""

    name: names.UploadName
    state: UploadState
    digest: str
    layout: Layout
    persisted: tuple[ByteRange, ...]
    creator: str
    created_at: datetime.datetime
    expires_at: datetime.datetime

    @property
    def next_offset(self) -> int:
        """The first byte that is not durable; the size if all are."""
        missing = first_missing(self.layout.size_bytes, self.persisted)
        return missing.start if missing else self.layout.size_bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a stream of bytes into an upload."""

    name: names.UploadName | None
    offset: int
    content: bytes
    crc32c: int | None = None
    state_lookup: bool = False
    finish_stream: bool = False

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("offset", self.offset, 0, limits.INT64_MAX)
            found.require(
                len(self.content) <= limits.MAX_CHUNK_BYTES,
                "data",
                f"has {len(self.content):,} bytes; at most {limits.MAX_CHUNK_BYTES:,} are allowed "
                "in one chunk",
            )


@dataclass(frozen=True, slots=True)
class Progress:
    """One answer to a stream: its bytes below the offset are durable."""

    persisted_offset: int
    upload: Upload | None = None


def require_active(upload: Upload) -> None:
    """Raise `errors.FailedPrecondition` unless the upload takes bytes."""
    if upload.state is not UploadState.ACTIVE:
        raise errors.FailedPrecondition(
            f"{upload.name} is {upload.state} and takes no more bytes; "
            "ask for its state, or start another upload",
            reason="UPLOAD_NOT_ACTIVE",
            state=upload.state,
        )


def require_whole(upload: Upload) -> None:
    """Raise `errors.FailedPrecondition` naming the first range that is not durable yet."""
    missing = first_missing(upload.layout.size_bytes, upload.persisted)
    if missing is not None:
        raise errors.FailedPrecondition(
            f"{upload.name} lacks bytes {missing.start} to {missing.end}; send them first",
            reason="UPLOAD_INCOMPLETE",
            missing_start=missing.start,
            missing_end=missing.end,
        )


def require_start(upload: Upload, offset: int) -> None:
    """Raise `errors.OutOfRange` unless a part that is not durable begins at `offset`."""
    durable = any(each.start <= offset < each.end for each in upload.persisted)
    if durable or not upload.layout.is_boundary(offset):
        raise wrong_offset(
            offset, upload.next_offset, "a stream begins at a part that is not durable yet"
        )


def wrong_offset(offset: int, expected: int, rule: str) -> errors.OutOfRange:
    """The error for bytes at a place where they cannot be taken."""
    return errors.OutOfRange(
        f"offset {offset} cannot be written here: {rule}; go on at {expected}",
        reason="WRONG_OFFSET",
        offset=offset,
        expected_offset=expected,
    )
