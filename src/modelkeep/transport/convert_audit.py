"""Crossings of the audit log."""

import base64
import datetime

from google.protobuf import json_format, struct_pb2

from modelkeep.audit_chain import lines, walk
from modelkeep.domain import audit
from modelkeep.transport import convert
from modelkeep.v1 import audit_service_pb2 as pb

KINDS = {
    pb.AUDIT_FAULT_KIND_CHANGED: walk.FaultKind.CHANGED,
    pb.AUDIT_FAULT_KIND_REMOVED: walk.FaultKind.REMOVED,
    pb.AUDIT_FAULT_KIND_REORDERED: walk.FaultKind.REORDERED,
    pb.AUDIT_FAULT_KIND_INSERTED: walk.FaultKind.INSERTED,
    pb.AUDIT_FAULT_KIND_TRUNCATED: walk.FaultKind.TRUNCATED,
    pb.AUDIT_FAULT_KIND_REWRITTEN: walk.FaultKind.REWRITTEN,
    pb.AUDIT_FAULT_KIND_CHECKPOINT: walk.FaultKind.CHECKPOINT,
}


def event_to_wire(record: audit.Record) -> pb.AuditEvent:
    """The message of an event."""
    return pb.AuditEvent(
        sequence=record.sequence,
        create_time=convert.timestamp_to_wire(record.occurred_at),
        actor=record.actor,
        client=record.client,
        request_id=record.request_id,
        action=record.action,
        resource=record.resource,
        before=_struct(record.before),
        after=_struct(record.after),
        prev_hash=record.prev_hash.hex(),
        hash=record.hash.hex(),
        credential=record.credential,
    )


def progress_to_wire(progress: audit.Progress) -> pb.VerifyAuditChainResponse:
    """The message of how far a verification is."""
    verdict = progress.verdict
    return pb.VerifyAuditChainResponse(
        parent=str(progress.chain),
        verified_events=progress.verified,
        last_sequence=progress.last,
        verdict=None if verdict is None else _verdict_to_wire(verdict),
    )


def checkpoint_to_wire(signed: lines.Signed) -> pb.AuditCheckpoint:
    """The message of a checkpoint."""
    checkpoint = signed.checkpoint
    return pb.AuditCheckpoint(
        parent=f"namespaces/{checkpoint.namespace}",
        sequence=checkpoint.head.sequence,
        hash=checkpoint.head.hash.hex(),
        create_time=convert.timestamp_to_wire(
            datetime.datetime.fromisoformat(checkpoint.signed_at)
        ),
        key_id=checkpoint.key_id,
        line=lines.write(signed),
    )


def key_to_wire(key: audit.Key) -> pb.AuditKey:
    """The message of a public key."""
    public_key = base64.b64encode(key.public_key).decode()
    return pb.AuditKey(key_id=key.key_id, public_key=public_key, signs=key.signs)


def _verdict_to_wire(verdict: audit.Verdict) -> pb.AuditVerdict:
    return pb.AuditVerdict(
        intact=verdict.fault is None,
        fault=None if verdict.fault is None else _fault_to_wire(verdict.fault),
        sequence=verdict.head.sequence,
        hash=verdict.head.hash.hex(),
        verified_checkpoints=verdict.checkpoints,
        checkpoints_verifiable=verdict.verifiable,
        checkpoint_sequence=verdict.covered,
    )


def _fault_to_wire(fault: walk.Fault) -> pb.AuditFault:
    return pb.AuditFault(
        kind=convert.enum_to_wire(fault.kind, KINDS),  # type: ignore[arg-type]
        sequence=fault.sequence,
        description=fault.description,
    )


def _struct(text: str | None) -> struct_pb2.Struct | None:
    return None if text is None else json_format.Parse(text, struct_pb2.Struct())
