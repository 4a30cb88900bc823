"""Calls about the audit log: read, verify and export its chains."""

import functools
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import grpc
from google.protobuf import timestamp_pb2

from modelkeep.audit_chain import lines, links
from modelkeep.client import (
    answers,
    audit_records,
    connection,
    errors,
    event_convert,
    patience,
    progress,
    refs,
)
from modelkeep.v1 import audit_service_pb2 as pb
from modelkeep.v1 import audit_service_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from modelkeep.v1.audit_service_pb2_grpc import AuditServiceAsyncStub

_ALL = "namespaces/-"
_KIND = "AUDIT_FAULT_KIND_"


class AuditCalls(connection.Connection):
    """Read, verify and export audit chains.

    A chain is named by its namespace; `_registry` is the one of the registry itself.
    """

    @functools.cached_property
    def _audit(self) -> "AuditServiceAsyncStub":
        return pb_grpc.AuditServiceStub(self._channel)

    def list_audit_events(
        self,
        chain: str,
        *,
        actor: str = "",
        actions: Sequence[str] = (),
        resource: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        oldest_first: bool = False,
    ) -> AsyncIterator[audit_records.AuditEvent]:
        """The events of a chain that fulfil all conditions.

        Args:
            chain: a namespace, or `_registry`.
            actor: only of this one.
            actions: only actions such as `stage.set` or `alias.*`.
            resource: name of a resource: only what happened to it and to what is in it.
            since: only from this aware instant on.
            until: only before this aware instant.
            oldest_first: in the order in which it happened.
        """
        request = pb.ListAuditEventsRequest(
            parent=chain_name(chain),
            actor=actor,
            actions=actions,
            resource=resource,
            start_time=_stamp(since),
            end_time=_stamp(until),
            oldest_first=oldest_first,
            page_size=connection.MAX_PAGE_SIZE,
        )

        async def fetch(token: str) -> tuple[list[audit_records.AuditEvent], str]:
            request.page_token = token
            page = await self._call(self._audit.ListAuditEvents, request)
            return list(map(_event_from_wire, page.events)), page.next_page_token

        return connection.pages(fetch)

    async def verify_audit(
        self, chain: str | None, *, listener: progress.Progress | None = None
    ) -> AsyncIterator[audit_records.AuditVerdict]:
        """Have the server verify a chain, or all of them (None); a verdict for each.

        Args:
            chain: a namespace, `_registry`, or None.
            listener: hears how far it is.
        """
        parent = _ALL if chain is None else chain_name(chain)
        hears = listener or progress.Progress()
        try:
            async for told in self._audit.VerifyAuditChain(
                pb.VerifyAuditChainRequest(parent=parent)
            ):
                if told.HasField("verdict"):
                    yield _verdict_from_wire(told)
                else:
                    so_far = f"{told.verified_events:,} of {told.last_sequence:,} events fit"
                    hears.noted(so_far)
        except grpc.aio.AioRpcError as lost:
            raise await self._explained(lost) from lost

    async def export_audit(
        self,
        chain: str,
        *,
        after_sequence: int = 0,
        since: datetime | None = None,
        stall_s: float = patience.DEFAULT_STALL_S,
    ) -> AsyncIterator[str]:
        """The lines of a chain's export, without line breaks; docs/audit.md tells their format.

        Goes on by itself where it was when the connection is lost.

        Args:
            chain: a namespace, or `_registry`.
            after_sequence: only events behind this one.
            since: only from this aware instant on, if that is later.
            stall_s: how long to try again while no server answers, in seconds.
        """
        request = pb.ExportAuditEventsRequest(
            parent=chain_name(chain), after_sequence=after_sequence, start_time=_stamp(since)
        )
        patient = patience.Patience(stall_s, progress.Progress())
        started, sealed, answers = False, 0, 0
        while True:
            try:
                async for answer in self._audit.ExportAuditEvents(request):
                    answers += 1
                    patient.reached(answers)
                    for text in answer.lines:
                        line = _line(text)
                        sealed += isinstance(line, lines.Signed)
                        if isinstance(line, lines.End):
                            yield lines.write(lines.End(line.namespace, line.head, sealed))
                            return
                        if not (started and isinstance(line, lines.Start)):
                            yield text
                    started = True
                    request.after_sequence = answer.sequence
                failure: errors.RegistryError = errors.Unavailable("the server ended the export")
            except grpc.aio.AioRpcError as lost:
                failure = await self._explained(lost)
            await patient.after(failure)

    def list_audit_checkpoints(self, chain: str) -> AsyncIterator[audit_records.AuditCheckpoint]:
        """The signed checkpoints of a chain, the oldest first."""
        request = pb.ListAuditCheckpointsRequest(
            parent=chain_name(chain), page_size=connection.MAX_PAGE_SIZE
        )

        async def fetch(token: str) -> tuple[list[audit_records.AuditCheckpoint], str]:
            request.page_token = token
            page = await self._call(self._audit.ListAuditCheckpoints, request)
            return list(map(_checkpoint_from_wire, page.checkpoints)), page.next_page_token

        return connection.pages(fetch)

    async def audit_keys(self) -> list[audit_records.AuditKey]:
        """The public keys of the server, the one that signs first; none if it has none."""
        answer = await self._call(self._audit.ListAuditKeys, pb.ListAuditKeysRequest())
        return [
            audit_records.AuditKey(key.key_id, key.public_key, key.signs) for key in answer.keys
        ]


def chain_name(text: str) -> str:
    """The resource name of a chain, or BadReference."""
    if text == links.REGISTRY:
        return f"namespaces/{text}"
    return refs.parse_namespace(text).namespace_name


def _line(text: str) -> lines.Line:
    try:
        return lines.read(text.encode())
    except lines.Malformed as failure:
        raise errors.BadAnswer(f"What the server sent {failure}.") from None


def _stamp(instant: datetime | None) -> timestamp_pb2.Timestamp | None:
    if instant is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def _event_from_wire(wire: pb.AuditEvent) -> audit_records.AuditEvent:
    return audit_records.AuditEvent(
        sequence=wire.sequence,
        created_at=answers.instant(wire.create_time),
        actor=wire.actor,
        client=wire.client,
        request_id=wire.request_id,
        action=wire.action,
        resource=wire.resource,
        before=event_convert.fields_from_wire(wire.before) if wire.HasField("before") else None,
        after=event_convert.fields_from_wire(wire.after) if wire.HasField("after") else None,
        prev_hash=wire.prev_hash,
        hash=wire.hash,
        credential=wire.credential,
    )


def _verdict_from_wire(told: pb.VerifyAuditChainResponse) -> audit_records.AuditVerdict:
    verdict = told.verdict
    kind = answers.word(pb.AuditFaultKind, verdict.fault.kind, _KIND)
    fault = audit_records.AuditFault(kind, verdict.fault.sequence, verdict.fault.description)
    return audit_records.AuditVerdict(
        chain=told.parent.partition("/")[2],
        fault=None if verdict.intact else fault,
        events=told.verified_events,
        sequence=verdict.sequence,
        hash=verdict.hash,
        checkpoints=verdict.verified_checkpoints,
        checkpoint_sequence=verdict.checkpoint_sequence,
        checkpoints_verifiable=verdict.checkpoints_verifiable,
    )


def _checkpoint_from_wire(wire: pb.AuditCheckpoint) -> audit_records.AuditCheckpoint:
    created_at = answers.instant(wire.create_time)
    return audit_records.AuditCheckpoint(
        wire.sequence, wire.hash, created_at, wire.key_id, wire.line
    )
