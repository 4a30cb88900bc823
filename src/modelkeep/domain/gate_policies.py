"""Gate policies: which gates a namespace or a model has before a stage, and what else they decide.

A policy is of a namespace or a model, and of the stage that versions move up to. A model's policy
comes on top of its namespace's, unless it replaces it.
"""

import datetime
import enum
from dataclasses import dataclass, replace

from modelkeep.domain import checks, gates, limits, names, stages

GATED = (stages.STAGING, stages.PRODUCTION)
"""Stages that have gates before them."""
_HEIGHT = {
    stages.ARCHIVED: 0,
    stages.DEVELOPMENT: 0,
    stages.STAGING: 1,
    stages.PRODUCTION: 2,
}
LIFETIME = datetime.timedelta(days=14)
"""How long a requested transition waits, unless a policy says otherwise."""
_MAX_DAYS = 365
_Gates = tuple[gates.Gate, ...]
_GatesOf = tuple[tuple[gates.Gate, str], ...]


class Inheritance(enum.StrEnum):
    """What a model's policy does to its namespace's for the same stage."""

    EXTEND = "extend"
    REPLACE = "replace"


class Displaced(enum.StrEnum):
    """What becomes of the version that stands in production when another goes there."""

    ARCHIVE = "archive"
    STAGE = "stage"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a policy says.

    Attributes:
        gates: all must be met.
        inheritance: what it does to the namespace's policy; of a model's only.
        four_eyes: whether a transition needs an approval by another even if no gate asks for one;
            None leaves it open.
        displaced: what becomes of the version that makes room; None leaves it open.
        lifetime_days: after how many days a requested transition expires; 0 leaves it open.
        description: for people.
    """

    gates: _Gates = ()
    inheritance: Inheritance = Inheritance.EXTEND
    four_eyes: bool | None = None
    displaced: Displaced | None = None
    lifetime_days: float = 0
    description: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("gates", self.gates, limits.GATES)
            found.number("lifetime_days", self.lifetime_days, 0, _MAX_DAYS)
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as it stands."""

    name: names.GatePolicyName
    rules: Rules
    actor: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    etag: str


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds for a move of a model's version, whoever said so.

    Attributes:
        gates: each with the name of its policy.
        four_eyes: whether a transition needs an approval by another in any case.
        displaced: what becomes of the version that makes room.
        lifetime: how long a requested transition waits.
    """

    gates: _GatesOf = ()
    four_eyes: bool = True
    displaced: Displaced = Displaced.ARCHIVE
    lifetime: datetime.timedelta = LIFETIME


def is_gated(origin: str, target: str) -> bool:
    """Whether a move meets gates: only one that leads up does, so that one down is always open."""
    return target in GATED and _HEIGHT[target] > _HEIGHT[origin]


def effective(namespace: Policy | None, model: Policy | None) -> Effective:
    """What holds where a namespace and a model have these policies for a stage."""
    if model and model.rules.inheritance is Inheritance.REPLACE:
        namespace = None
    holding = [one for one in (namespace, model) if one]
    four_eyes = [one.rules.four_eyes for one in holding if one.rules.four_eyes is not None]
    displaced = [one.rules.displaced for one in holding if one.rules.displaced]
    days = [one.rules.lifetime_days for one in holding if one.rules.lifetime_days]
    return Effective(
        gates=tuple((gate, str(one.name)) for one in holding for gate in one.rules.gates),
        # On top of a namespace's a model's policy asks for more, never for less.
        four_eyes=any(four_eyes) if four_eyes else True,
        displaced=displaced[-1] if displaced else Displaced.ARCHIVE,
        lifetime=datetime.timedelta(days=min(days)) if days else LIFETIME,
    )


def for_transition(found: Effective) -> Effective:
    """The same with what a transition needs besides: an approval, unless a policy waives it."""
    asks = any(isinstance(gate, gates.Approvals) for gate, _ in found.gates)
    if asks or not found.four_eyes:
        return found
    return replace(found, gates=(*found.gates, (gates.Approvals(1), "")))
