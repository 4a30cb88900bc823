"""Crossings of garbage collection and of lists of uploads."""

import datetime
from collections.abc import Iterable
from functools import partial

from google.protobuf import duration_pb2

from modelkeep.domain import checks, garbage, names, pages, uploads
from modelkeep.service import changes
from modelkeep.transport import convert, convert_artifacts, page_tokens
from modelkeep.v1 import artifact_service_pb2 as pb

_STATES: dict[int, uploads.UploadState] = {
    number: state for state, number in convert_artifacts.STATES.items()
}


def list_uploads_from_wire(
    tokens: page_tokens.PageTokens, request: pb.ListUploadsRequest
) -> tuple[names.NamespaceName, pages.PageRequest, frozenset[uploads.UploadState]]:
    """Arguments of `Uploads.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        page = found.make("", partial(tokens.read, request))
        # Only so many are told apart; a list of a million is not answered with a million errors.
        states = found.make_each("states", _state_makers(dict.fromkeys(request.states)))
    return parent, page, frozenset(states or uploads.UploadState)


def _state_makers(numbers: Iterable[int]) -> "list[partial[uploads.UploadState]]":
    return [partial(convert.enum_from_wire, number, _STATES) for number in numbers]


def collect_from_wire(
    tokens: page_tokens.PageTokens, request: pb.CollectGarbageRequest
) -> tuple[changes.Once, names.NamespaceName, pages.PageRequest]:
    """Arguments of `Collecting.collect`, but for `dry_run`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "CollectGarbage", request))
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        page = found.make("", partial(tokens.read, request))
    return once, parent, page


def sweep_to_wire(
    tokens: page_tokens.PageTokens,
    request: pb.CollectGarbageRequest,
    sweep: garbage.Sweep,
    grace: datetime.timedelta,
) -> pb.CollectGarbageResponse:
    """What a look at some of the blobs found."""
    response = pb.CollectGarbageResponse(grace_period=_duration_to_wire(grace))
    entries = [(blob.digest, blob) for blob in sweep.found]
    page = pages.Page(entries, sweep.more, sweep.reached)
    response.next_page_token = tokens.write(
        request, page, response.blobs, partial(_garbage_to_wire, request.parent)
    )
    return response


def _garbage_to_wire(parent: str, blob: garbage.Garbage) -> pb.GarbageBlob:
    return pb.GarbageBlob(
        name=f"{parent}/blobs/{blob.digest}",
        digest=blob.digest,
        size_bytes=blob.size_bytes,
        reason=pb.GARBAGE_REASON_UNREACHED,
        create_time=convert.timestamp_to_wire(blob.verified_at),
        last_use_time=convert.timestamp_to_wire(blob.touched_at),
        freed_bytes=blob.freed_bytes,
    )


def _duration_to_wire(length: datetime.timedelta) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(length)
    return duration
