"""Crossings of transitions."""

from modelkeep.domain import transitions
from modelkeep.transport import convert, convert_gates
from modelkeep.v1 import transition_pb2 as pb

STATES: dict[int, transitions.State] = {
    pb.TRANSITION_STATE_PENDING: transitions.State.PENDING,
    pb.TRANSITION_STATE_APPROVED: transitions.State.APPROVED,
    pb.TRANSITION_STATE_COMMITTED: transitions.State.COMMITTED,
    pb.TRANSITION_STATE_REJECTED: transitions.State.REJECTED,
    pb.TRANSITION_STATE_CANCELLED: transitions.State.CANCELLED,
    pb.TRANSITION_STATE_EXPIRED: transitions.State.EXPIRED,
    pb.TRANSITION_STATE_STALE: transitions.State.STALE,
}


def transition_to_wire(one: transitions.Transition) -> pb.Transition:
    """A transition, for the wire."""
    counting = transitions.counting(one.verdicts)
    wire = pb.Transition(
        name=str(one.name),
        origin=one.origin,
        stage=one.target,
        reason=one.reason,
        state=convert.enum_to_wire(one.state, STATES),  # type: ignore[arg-type]
        requester=one.requester,
        create_time=convert.timestamp_to_wire(one.created_at),
        expire_time=convert.timestamp_to_wire(one.expires_at),
        replaces=str(one.replaces) if one.replaces else "",
        verdicts=(_verdict(each, counting[each.approver] is each) for each in one.verdicts),
        end_time=convert.timestamp_to_wire(one.ended.at if one.ended else None),
        end_actor=one.ended.actor if one.ended else "",
        end_reason=one.ended.reason if one.ended else "",
    )
    if one.report is not None:
        wire.gates.CopyFrom(convert_gates.report_to_wire(one.name.version, one.report))
    return wire


def _verdict(verdict: transitions.Verdict, counts: bool) -> pb.TransitionVerdict:
    return pb.TransitionVerdict(
        approver=verdict.approver,
        approved=verdict.approved,
        comment=verdict.comment,
        create_time=convert.timestamp_to_wire(verdict.created_at),
        roles=verdict.roles,
        counts=counts,
    )
