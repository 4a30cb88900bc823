"""Transitions: moves to another stage that somebody asks for and others approve.

    PENDING ⇄ APPROVED → COMMITTED
    PENDING, APPROVED ⇄ REJECTED
    PENDING, APPROVED, REJECTED → CANCELLED | EXPIRED | STALE

What is stored is whether it is open or how it ended. Between PENDING, APPROVED and REJECTED the
verdicts decide; and an open one whose time is over, or that is about something that is no longer
so, is EXPIRED or STALE from that moment on, whether or not somebody has noted it.
"""

import datetime
import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from modelkeep.domain import checks, errors, gates, limits, names, stages


class State(enum.StrEnum):
    """How far a transition is."""

    PENDING = "pending"
    APPROVED = "approved"
    COMMITTED = "committed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    STALE = "stale"


ENDED = frozenset({State.COMMITTED, State.CANCELLED, State.EXPIRED, State.STALE})
"""States that it does not leave."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An approval or a rejection.

    Attributes:
        approver: who gave it.
        approved: whether it is an approval; a rejection otherwise.
        comment: what the approver said.
        created_at: when.
        roles: which the approver had for the move then.
        groups: which groups the approver was in then; grants are asked for again by these.
    """

    approver: str
    approved: bool
    comment: str
    created_at: datetime.datetime
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a transition ended: when, by whom, and why if that is to be told."""

    state: State
    at: datetime.datetime
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition as it stands.

    Attributes:
        name: its name.
        origin: where the version stood when it was asked for.
        target: where to.
        reason: why.
        requester: who asked for it.
        created_at: when.
        expires_at: when it is over.
        replaces: the version that was in production then, or None.
        verdicts: all that were given, the first first.
        state: how far it is.
        ended: how it ended; None if it is open.
        report: what became of the gates at the commit, or becomes of them now; None if not asked.
    """

    name: names.TransitionName
    origin: str
    target: str
    reason: str
    requester: str
    created_at: datetime.datetime
    expires_at: datetime.datetime
    replaces: names.VersionName | None
    verdicts: tuple[Verdict, ...] = ()
    state: State = State.PENDING
    ended: Ending | None = None
    report: gates.Report | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transition depends on, as it is now.

    Attributes:
        now: the database's clock.
        is_ready: whether the version can be moved at all.
        stage: where it stands.
        production: the version in production, or None.
    """

    now: datetime.datetime
    is_ready: bool
    stage: str
    production: names.VersionName | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which transitions: in one of these states, to this stage; all if there is nothing."""

    states: frozenset[State] = frozenset()
    stage: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            known = not self.stage or self.stage in stages.STAGES
            shown = checks.shown(self.stage)
            found.require(
                known, "stage", f"{shown} is not a stage; there are {', '.join(stages.STAGES)}"
            )


def check_comment(found: checks.Checks, field: str, text: str, *, needed: bool) -> None:
    """Note what cannot be said about a verdict or an end."""
    found.text(field, text, limits.REASON_CHARS, least=int(needed), layout=True)


def counting(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    """Of each approver the last verdict."""
    return {one.approver: one for one in verdicts}


def approvers(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The approvals that count, in the order of their approvers' first verdicts."""
    return [one for one in counting(verdicts).values() if one.approved]


def rejections(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The rejections that stand."""
    return [one for one in counting(verdicts).values() if not one.approved]


def decided(verdicts: Collection[Verdict], *, enough: bool) -> State:
    """What the verdicts make of an open transition.

    Args:
        verdicts: all that were given.
        enough: whether all approvals that are asked for are there.
    """
    if rejections(verdicts):
        return State.REJECTED
    return State.APPROVED if enough else State.PENDING


def over(transition: Transition, around: Surroundings) -> tuple[State, str] | None:
    """Whether an open transition is over by itself, and why; None if it is not."""
    version = transition.name.version
    if around.now >= transition.expires_at:
        return State.EXPIRED, "nobody committed it in time"
    if not around.is_ready:
        return State.STALE, f"{version} is not ready any more"
    if around.stage != transition.origin:
        return State.STALE, f"{version} has moved from {transition.origin} to {around.stage}"
    if transition.target == stages.PRODUCTION and around.production != transition.replaces:
        was, now = transition.replaces or "nothing", around.production or "nothing"
        return State.STALE, f"{now} is in production, and {was} was when it was asked for"
    return None


def require_open(transition: Transition) -> None:
    """Raise `errors.FailedPrecondition` if it has ended."""
    if transition.state not in ENDED:
        return
    why = f": {transition.ended.reason}" if transition.ended and transition.ended.reason else ""
    raise errors.FailedPrecondition(
        f"{transition.name} is {transition.state}{why}; request another one",
        reason=f"TRANSITION_{transition.state.upper()}",
        state=transition.state,
    )


def require_other(transition: Transition, principal: str) -> None:
    """Raise `errors.FailedPrecondition` if somebody would judge what they asked for themselves."""
    if transition.requester == principal:
        raise errors.FailedPrecondition(
            f"{principal} asked for {transition.name}; somebody else must approve or reject it, "
            "and its requester can cancel it",
            reason="FOUR_EYES",
            requester=transition.requester,
        )


def require_unopposed(transition: Transition) -> None:
    """Raise `errors.FailedPrecondition` if a rejection stands."""
    standing = rejections(transition.verdicts)
    if not standing:
        return
    first = standing[0]
    raise errors.FailedPrecondition(
        f"{transition.name} is rejected by {first.approver}: {first.comment}; it can be committed "
        "once they approve it",
        reason="TRANSITION_REJECTED",
        approver=first.approver,
    )


def require_room(transition: Transition) -> None:
    """Raise `errors.ResourceExhausted` if so many verdicts were given that no more are taken."""
    if len(transition.verdicts) >= limits.TRANSITION_VERDICTS:
        raise errors.ResourceExhausted(
            f"{transition.name} has {limits.TRANSITION_VERDICTS} verdicts; cancel it and request "
            "another one"
        )
