"""Crossings of histories."""

from modelkeep.domain import histories
from modelkeep.transport import convert, convert_gates
from modelkeep.v1 import history_pb2 as pb


def alias_assignment_to_wire(one: histories.AliasAssignment) -> pb.AliasAssignment:
    """Where an alias pointed, for the wire."""
    return pb.AliasAssignment(
        alias=str(one.alias),
        version=str(one.version),
        start_time=convert.timestamp_to_wire(one.begun_at),
        end_time=convert.timestamp_to_wire(one.ended_at),
        actor=one.actor,
        reason=one.reason,
    )


def stage_assignment_to_wire(one: histories.StageAssignment) -> pb.StageAssignment:
    """Where a version stood, for the wire."""
    wire = pb.StageAssignment(
        version=str(one.version),
        stage=one.stage,
        start_time=convert.timestamp_to_wire(one.begun_at),
        end_time=convert.timestamp_to_wire(one.ended_at),
        actor=one.actor,
        reason=one.reason,
        transition=one.transition,
    )
    if one.report is not None:
        wire.gates.CopyFrom(convert_gates.report_to_wire(one.version, one.report))
    return wire


def entry_to_wire(entry: histories.Entry) -> pb.HistoryEntry:
    """What happened, for the wire."""
    return pb.HistoryEntry(
        occur_time=convert.timestamp_to_wire(entry.occurred_at),
        sequence=entry.sequence,
        action=entry.action,
        resource=entry.resource,
        actor=entry.actor,
        client=entry.client,
        request_id=entry.request_id,
        reason=entry.reason,
        before=entry.before,
        after=entry.after,
        changed_fields=entry.changed_fields,
    )
