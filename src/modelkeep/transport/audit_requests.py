"""Crossings of the requests of AuditService."""

import datetime
from functools import partial

from google.protobuf import timestamp_pb2

from modelkeep.domain import audit, checks, pages
from modelkeep.transport import convert, page_tokens
from modelkeep.v1 import audit_service_pb2 as pb


def list_events(
    tokens: page_tokens.PageTokens, request: pb.ListAuditEventsRequest
) -> tuple[audit.ChainName, audit.Filter, pages.PageRequest]:
    """Arguments of `Auditing.list`."""
    with checks.Checks() as found:
        chain = found.make("parent", partial(audit.ChainName.parse, request.parent))
        wanted = found.make(
            "",
            partial(
                audit.Filter,
                request.actor,
                tuple(request.actions),
                request.resource,
                _instant(found, "start_time", request, request.start_time),
                _instant(found, "end_time", request, request.end_time),
            ),
        )
        page = found.make("", partial(tokens.read, request))
    return chain, wanted, page


def verify(request: pb.VerifyAuditChainRequest) -> audit.ChainName | None:
    """Argument of `Auditing.verify`: which chain; None for all."""
    with checks.Checks() as found:
        if request.parent == audit.ALL:
            return None
        return found.make("parent", partial(audit.ChainName.parse, request.parent))


def export(request: pb.ExportAuditEventsRequest) -> tuple[audit.ChainName, audit.Since]:
    """Arguments of `Auditing.export`."""
    with checks.Checks() as found:
        chain = found.make("parent", partial(audit.ChainName.parse, request.parent))
        instant = _instant(found, "start_time", request, request.start_time)
        since = found.make("", partial(audit.Since, request.after_sequence, instant))
    return chain, since


def list_checkpoints(
    tokens: page_tokens.PageTokens, request: pb.ListAuditCheckpointsRequest
) -> tuple[audit.ChainName, pages.PageRequest]:
    """Arguments of `Auditing.list_checkpoints`."""
    with checks.Checks() as found:
        chain = found.make("parent", partial(audit.ChainName.parse, request.parent))
        page = found.make("", partial(tokens.read, request))
    return chain, page


def _instant(
    found: checks.Checks,
    field: str,
    request: pb.ListAuditEventsRequest | pb.ExportAuditEventsRequest,
    stamp: timestamp_pb2.Timestamp,
) -> datetime.datetime | None:
    if not request.HasField(field):  # type: ignore[arg-type]
        return None
    return found.make(field, partial(convert.timestamp_from_wire, stamp))
