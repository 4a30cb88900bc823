"""Crossings that all services share: instants, retries, field masks, enums."""

import datetime
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from google.protobuf import field_mask_pb2, message, timestamp_pb2

from modelkeep.domain import checks, errors, limits
from modelkeep.service import changes

E = TypeVar("E", bound=StrEnum)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECONDS_A_DAY = 86_400


def timestamp_to_wire(instant: datetime.datetime | None) -> timestamp_pb2.Timestamp | None:
    """An instant, or None for none."""
    if instant is None:
        return None
    # FromDatetime takes three times as long, and each version has three instants.
    since = instant - _EPOCH
    return timestamp_pb2.Timestamp(
        seconds=since.days * _SECONDS_A_DAY + since.seconds, nanos=since.microseconds * 1000
    )


def timestamp_from_wire(stamp: timestamp_pb2.Timestamp) -> datetime.datetime:
    """An instant in UTC, or `errors.InvalidArgument` if there is none such."""
    try:
        return stamp.ToDatetime(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        raise errors.invalid("is not an instant between the years 1 and 9999") from None


def once_from_wire(method: str, request: message.Message) -> changes.Once:
    """What makes a retry of this request safe."""
    request_id = request_id_from_wire(request.request_id)  # type: ignore[attr-defined]
    text = method.encode() + request.SerializeToString(deterministic=True)
    return changes.Once(request_id, hashlib.sha256(text).digest())


def request_id_from_wire(request_id: str) -> str:
    """What the client calls the request, or `errors.InvalidArgument`."""
    with checks.Checks() as found:
        found.text("request_id", request_id, limits.REQUEST_ID_CHARS)
        found.require(request_id.isascii(), "request_id", "has characters that are not ASCII")
    return request_id


def check_etag(found: checks.Checks, field: str, etag: str) -> None:
    """Note an etag that we cannot have given."""
    found.text(field, etag, limits.ETAG_CHARS)


def mask_from_wire(mask: field_mask_pb2.FieldMask, allowed: frozenset[str]) -> tuple[str, ...]:
    """The paths of an update mask, each once, or `errors.InvalidArgument`."""
    paths = tuple(dict.fromkeys(mask.paths))
    with checks.Checks() as found:
        wanted = ", ".join(sorted(allowed))
        found.require(bool(paths), "", f"must name at least one of {wanted}")
        for path in paths:
            found.require(
                path in allowed, "", f"{checks.shown(path)} cannot be updated; {wanted} can"
            )
    return paths


def enum_from_wire(number: int, members: Mapping[int, E]) -> E:
    """The domain's member for a wire enum's number, or `errors.InvalidArgument`."""
    if number not in members:
        raise errors.invalid(f"{number} is not a value of this enum that the server knows")
    return members[number]


def enum_to_wire(member: E, members: Mapping[int, E]) -> int:
    """The wire enum's number for a domain member."""
    return next(number for number, known in members.items() if known is member)
