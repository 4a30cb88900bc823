"""Transitions, as the SDK shows them."""

import enum
from dataclasses import dataclass
from datetime import datetime

from modelkeep.client import convert, gate_records, records, refs
from modelkeep.v1 import lifecycle_service_pb2
from modelkeep.v1 import transition_pb2 as pb

_PREFIX = "TRANSITION_STATE_"


class TransitionState(enum.StrEnum):
    """How far a transition is."""

    UNSPECIFIED = "unspecified"
    PENDING = "pending"
    APPROVED = "approved"
    COMMITTED = "committed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    STALE = "stale"


OPEN = (TransitionState.PENDING, TransitionState.APPROVED, TransitionState.REJECTED)
"""States that a transition may leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionVerdict:
    """An approval or a rejection; `counts` if it is the approver's last one."""

    approver: str
    approved: bool
    comment: str
    created_at: datetime | None
    roles: tuple[str, ...]
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A move that somebody asked for.

    Attributes:
        name: its resource name.
        origin: where the version stood.
        stage: where to.
        reason: why.
        state: how far it is.
        requester: who asked for it.
        created_at: when.
        expires_at: when it is over.
        replaces: the version that makes room in production, `acme/voice@1.1.0`, or ''.
        verdicts: all that were given, the first first.
        ended_at: when it ended, or None.
        end_actor: who committed or cancelled it.
        end_reason: why it was cancelled or became stale.
        gates: what became of the gates at the commit, or becomes of them now; None in lists.
    """

    name: str
    origin: str
    stage: str
    reason: str
    state: TransitionState
    requester: str
    created_at: datetime | None
    expires_at: datetime | None
    replaces: str
    verdicts: tuple[TransitionVerdict, ...]
    ended_at: datetime | None
    end_actor: str
    end_reason: str
    gates: gate_records.GateReport | None

    @property
    def ref(self) -> str:
        """`acme/voice@1.2.0/0123456789abcdef`, which `transitions show` takes."""
        return shortened(self.name)

    @property
    def version(self) -> str:
        """`acme/voice@1.2.0`."""
        return refs.from_name(self.name.partition("/transitions/")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedTransition:
    """A transition that was committed, its version, and the one that made room or ''."""

    transition: Transition
    version: records.Version
    displaced_version: str


def shortened(name: str) -> str:
    """`acme/voice@1.2.0/0123456789abcdef` of a transition's resource name; '' of ''."""
    version, _, transition = name.partition("/transitions/")
    return f"{refs.from_name(version)}/{transition}" if transition else ""


def full_name(text: str) -> str:
    """The resource name of `acme/voice@1.2.0/0123456789abcdef`, or of a resource name itself.

    Raises:
        BadReference: it is neither.
    """
    if "/transitions/" in text:
        return text
    version, _, transition = text.rpartition("/")
    return f"{refs.parse_version(version).version_name}/transitions/{transition}"


def state_to_wire(state: TransitionState) -> pb.TransitionState.ValueType:
    """A state, for the wire."""
    return pb.TransitionState.Value(f"{_PREFIX}{state.upper()}")


def _state(number: int) -> TransitionState:
    """The state of that number; UNSPECIFIED for one a newer server invented."""
    words = {int(value): name for name, value in pb.TransitionState.items()}
    word = words.get(number, "").removeprefix(_PREFIX).lower()
    return TransitionState(word) if word in list(TransitionState) else TransitionState.UNSPECIFIED


def transition_from_wire(wire: pb.Transition) -> Transition:
    """A transition as the server sent it."""
    return Transition(
        name=wire.name,
        origin=wire.origin,
        stage=wire.stage,
        reason=wire.reason,
        state=_state(wire.state),
        requester=wire.requester,
        created_at=convert.instant_from_wire(wire, "create_time"),
        expires_at=convert.instant_from_wire(wire, "expire_time"),
        replaces=refs.from_name(wire.replaces),
        verdicts=tuple(map(_verdict, wire.verdicts)),
        ended_at=convert.instant_from_wire(wire, "end_time"),
        end_actor=wire.end_actor,
        end_reason=wire.end_reason,
        gates=gate_records.report_from_wire(wire.gates) if wire.HasField("gates") else None,
    )


def _verdict(wire: pb.TransitionVerdict) -> TransitionVerdict:
    return TransitionVerdict(
        approver=wire.approver,
        approved=wire.approved,
        comment=wire.comment,
        created_at=convert.instant_from_wire(wire, "create_time"),
        roles=tuple(wire.roles),
        counts=wire.counts,
    )


def committed_from_wire(
    wire: lifecycle_service_pb2.CommitTransitionResponse,
) -> CommittedTransition:
    """A commit as the server sent it."""
    return CommittedTransition(
        transition=transition_from_wire(wire.transition),
        version=convert.version_from_wire(wire.version),
        displaced_version=refs.from_name(wire.displaced_version),
    )
