"""What a search asks for, as a tree of typed conditions; `filter_typing.py` makes its leaves."""

import datetime
import decimal
import enum
from collections.abc import Iterator
from dataclasses import dataclass

from modelkeep.domain import checks, limits


class Operator(enum.StrEnum):
    """How a field is compared."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    HAS = ":"


Value = str | int | float | bool | decimal.Decimal | datetime.datetime
"""Of the type that the field has; a parameter's tells which type it looks for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared.

    Attributes:
        field: a name in `filter_fields.FIELDS`.
        key: which label, parameter or metric; '' for fields that have none.
        dataset: of an evaluated metric, `name@revision`; '' for a reported one.
        slice: of an evaluated metric, which part of the dataset; '' for all of it.
    """

    field: str
    key: str = ""
    dataset: str = ""
    slice: str = ""

    def __str__(self) -> str:
        if self.dataset:
            return f'metric("{self.key}", "{self.dataset}")'
        return f"{self.field}.{self.key}" if self.key else self.field


@dataclass(frozen=True, slots=True)
class Comparison:
    """True where the subject is there and compares so; of a list, where any entry does."""

    subject: Subject
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Presence:
    """True where the subject is there."""

    subject: Subject


@dataclass(frozen=True, slots=True)
class Words:
    """True where name, description or card have these words; in this order if a phrase."""

    text: str
    phrase: bool


Leaf = Comparison | Presence | Words


@dataclass(frozen=True, slots=True)
class Both:
    """True where all parts are."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """True where any part is."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """True where the part is not; what is absent compares as false, so this is true then."""

    part: "Condition"


Condition = Leaf | Both | Either | Negation
EVERYTHING = Both(())


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Every comparison in the tree, from left to right."""
    match condition:
        case Both(parts) | Either(parts):
            for part in parts:
                yield from leaves(part)
        case Negation(part):
            yield from leaves(part)
        case _:
            yield condition


def conjuncts(condition: Condition) -> Iterator[Condition]:
    """What must hold, all of it."""
    if isinstance(condition, Both):
        for part in condition.parts:
            yield from conjuncts(part)
    else:
        yield condition


def implies(condition: Condition, subject: Subject) -> bool:
    """Whether only versions fit that have this subject."""
    match condition:
        case Both(parts):
            return any(implies(part, subject) for part in parts)
        case Either(parts):
            return bool(parts) and all(implies(part, subject) for part in parts)
        case Comparison(compared) | Presence(compared):
            return compared == subject
    return False


@dataclass(frozen=True, slots=True)
class Order:
    """By what the answers are ordered: the default is the newest first."""

    subject: Subject = Subject("")
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for.

    Attributes:
        condition: what must hold.
        order: what comes first. Versions without it come last; ties go by age, in its direction.
        metrics: names of reported metrics the answers carry, besides those that are named.
        deleted: whether deleted versions are answered, too.
    """

    condition: Condition = EVERYTHING
    order: Order = Order()
    metrics: tuple[str, ...] = ()
    deleted: bool = False

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("metrics", self.metrics, limits.FILTER_METRICS)
            for n, name in enumerate(self.metrics[: limits.FILTER_METRICS]):
                found.text(f"metrics[{n}]", name, limits.NAME_CHARS, least=1)

    @property
    def shown_metrics(self) -> list[str]:
        """Names of the reported metrics that the answers carry."""
        named = [leaf.subject for leaf in leaves(self.condition) if not isinstance(leaf, Words)]
        keys = [one.key for one in (self.order.subject, *named) if one.field == "metrics"]
        return sorted({*self.metrics, *keys})
