"""What histories answer: frozen values, instants in UTC."""

from dataclasses import dataclass
from datetime import datetime

from modelkeep.client import convert, refs
from modelkeep.v1 import history_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasAssignment:
    """Where an alias pointed from when to when (None: still), who set it and why."""

    alias: str
    version: str
    begun_at: datetime | None
    ended_at: datetime | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAssignment:
    """Where a version stood from when to when (None: still), who moved it and why."""

    version: str
    stage: str
    begun_at: datetime | None
    ended_at: datetime | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Something that happened to a model, one of its versions or one of its aliases.

    `action` is `noun.verb`; `before` and `after` are the stage, the version's name or the state,
    `reason` is why: each empty if there is none.
    """

    occurred_at: datetime | None
    sequence: int
    action: str
    resource: str
    actor: str
    client: str
    request_id: str
    reason: str
    before: str
    after: str
    changed_fields: tuple[str, ...]

    @property
    def ref(self) -> str:
        """What it was done to, as people write it, where that is a model or a version."""
        return refs.from_name(self.resource)


def alias_assignment_from_wire(wire: pb.AliasAssignment) -> AliasAssignment:
    """Where an alias pointed, as the server sent it."""
    return AliasAssignment(
        alias=wire.alias,
        version=wire.version,
        begun_at=convert.instant_from_wire(wire, "start_time"),
        ended_at=convert.instant_from_wire(wire, "end_time"),
        actor=wire.actor,
        reason=wire.reason,
    )


def stage_assignment_from_wire(wire: pb.StageAssignment) -> StageAssignment:
    """Where a version stood, as the server sent it."""
    return StageAssignment(
        version=wire.version,
        stage=wire.stage,
        begun_at=convert.instant_from_wire(wire, "start_time"),
        ended_at=convert.instant_from_wire(wire, "end_time"),
        actor=wire.actor,
        reason=wire.reason,
    )


def entry_from_wire(wire: pb.HistoryEntry) -> HistoryEntry:
    """What happened, as the server sent it."""
    return HistoryEntry(
        occurred_at=convert.instant_from_wire(wire, "occur_time"),
        sequence=wire.sequence,
        action=wire.action,
        resource=wire.resource,
        actor=wire.actor,
        client=wire.client,
        request_id=wire.request_id,
        reason=wire.reason,
        before=wire.before,
        after=wire.after,
        changed_fields=tuple(wire.changed_fields),
    )
