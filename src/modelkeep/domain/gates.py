"""Gates: what must be so before a version may move up to a stage, and what was found.

A gate is one condition with its parameters; `gate_rules.py` judges it by facts, `gate_policies.py`
says which gates hold for a move.
"""

import datetime
import enum
import math
from dataclasses import dataclass
from typing import Literal

from modelkeep.domain import checks, evaluations, freezes, limits, stages
from modelkeep.domain.formats import facts

_DAYS = 3650
"""Ten years: no gate asks for more."""
_APPROVERS = 20
FIELDS = (
    "card", "description", "owner", "datasets", "metrics", "spec.framework",
    "spec.framework_version", "spec.task", "spec.architecture", "spec.inputs", "spec.outputs",
    "spec.dependencies", "spec.base", "source.repository", "source.commit", "source.run",
)  # fmt: skip
"""What a gate can require to be filled in, besides `card.WORD` and `labels.KEY`."""


class Op(enum.StrEnum):
    """How a metric is held against a value; the two of each pair are of one direction."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    BELOW = "<"

    @property
    def direction(self) -> evaluations.Direction:
        """Which way a metric must get better for this to make sense."""
        is_up = self in {Op.AT_LEAST, Op.ABOVE}
        return evaluations.Direction.HIGHER if is_up else evaluations.Direction.LOWER

    def holds(self, value: float, bound: float) -> bool:
        """Whether the value meets the bound."""
        match self:
            case Op.AT_LEAST:
                return value >= bound
            case Op.ABOVE:
                return value > bound
            case Op.AT_MOST:
                return value <= bound
        return value < bound


@dataclass(frozen=True, slots=True)
class Measured:
    """Which figure a gate is about.

    Attributes:
        dataset: name of the dataset.
        metric: which metric.
        revision: which revision of the dataset; '' for any.
        suite: by which suite; '' for any.
        slice: of which examples; '' for all.
        min_samples: of how many examples at least; 0 asks for none.
    """

    dataset: str
    metric: str
    revision: str = ""
    suite: str = ""
    slice: str = ""
    min_samples: int = 0

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            _check_dataset(found, "dataset", self.dataset, self.revision)
            found.text("metric", self.metric, limits.NAME_CHARS, least=1)
            found.text("suite", self.suite, limits.NAME_CHARS)
            found.text("slice", self.slice, limits.NAME_CHARS)
            found.number("min_samples", self.min_samples, 0, limits.JSON_INT_MAX)

    def __str__(self) -> str:
        on = f"{self.dataset}@{self.revision}" if self.revision else self.dataset
        part = f" of {self.slice}" if self.slice else ""
        return f"{self.metric}{part} on {on}" + (f" by {self.suite}" if self.suite else "")


def _check_dataset(found: checks.Checks, field: str, name: str, revision: str) -> None:
    found.text(field, name, limits.NAME_CHARS, least=1)
    found.text(field, revision, limits.REVISION_CHARS)


@dataclass(frozen=True, slots=True)
class MetricThreshold:
    """A figure of the last run meets a bound."""

    measured: Measured
    op: Op
    value: float
    kind: Literal["metric_threshold"] = "metric_threshold"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            evaluations.require_finite(found, "value", self.value)


@dataclass(frozen=True, slots=True)
class NonRegression:
    """A figure is not worse than that of the version in production, measured the same way.

    Attributes:
        measured: which figure.
        absolute: by how much it may be worse, in the metric's unit.
        relative: by which part of production's figure it may be worse, 0 to 1.
        significance: it may be worse by more if that is no real difference at this level, above 0
            and below 0.5; 0 asks for no test.
    """

    measured: Measured
    absolute: float = 0.0
    relative: float = 0.0
    significance: float = 0.0
    kind: Literal["non_regression"] = "non_regression"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            if evaluations.require_finite(found, "absolute", self.absolute):
                found.require(
                    self.absolute >= 0, "absolute", f"is {self.absolute}; expected 0 or more"
                )
            found.number("relative", self.relative, 0, 1)
            ok = 0 <= self.significance < 0.5  # noqa: PLR2004 - more is no evidence at all
            shown = f"is {self.significance}; expected above 0 and below 0.5, or 0 for no test"
            found.require(ok, "significance", shown)


@dataclass(frozen=True, slots=True)
class EvaluationAge:
    """The last run on a dataset is not older than so many days."""

    dataset: str
    max_days: float
    revision: str = ""
    suite: str = ""
    kind: Literal["evaluation_age"] = "evaluation_age"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            _check_dataset(found, "dataset", self.dataset, self.revision)
            found.text("suite", self.suite, limits.NAME_CHARS)
            _check_days(found, "max_days", self.max_days)


def _check_days(found: checks.Checks, field: str, days: float) -> None:
    ok = math.isfinite(days) and 0 < days <= _DAYS
    found.require(ok, field, f"is {days}; expected above 0 and at most {_DAYS:,}")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """There is an evaluation on each of these datasets: `name` or `name@revision`."""

    datasets: tuple[str, ...]
    suite: str = ""
    kind: Literal["evaluated"] = "evaluated"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("datasets", self.datasets, limits.GATE_ENTRIES, least=1)
            for n, text in enumerate(self.datasets[: limits.GATE_ENTRIES]):
                with found.at(f"datasets[{n}]"):
                    evaluations.dataset_of(text)
            found.text("suite", self.suite, limits.NAME_CHARS)


@dataclass(frozen=True, slots=True)
class RequiredFields:
    """These are filled in: one of `FIELDS`, `labels.KEY`, or `card.WORD`, a part of the card."""

    fields: tuple[str, ...]
    kind: Literal["required_fields"] = "required_fields"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("fields", self.fields, limits.GATE_ENTRIES, least=1)
            for n, field in enumerate(self.fields[: limits.GATE_ENTRIES]):
                at = f"fields[{n}]"
                found.text(at, field, limits.NAME_CHARS, least=1)
                open_ended = any(field.startswith(p) and field != p for p in ("card.", "labels."))
                known = f"expected {', '.join(FIELDS)}, card.WORD or labels.KEY"
                found.require(
                    open_ended or field in FIELDS, at, f"is {checks.shown(field)}; {known}"
                )


WORST = (facts.PickleVerdict.NONE, facts.PickleVerdict.PLAIN, facts.PickleVerdict.IMPORTS)
"""What files may be at worst; dangerous and unknown pickles never pass."""


@dataclass(frozen=True, slots=True)
class FileSafety:
    """All files were looked into, and none is a worse pickle than this."""

    worst: facts.PickleVerdict = facts.PickleVerdict.PLAIN
    kind: Literal["file_safety"] = "file_safety"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            ok = self.worst in WORST
            found.require(
                ok, "worst", f"is {self.worst}; expected {', '.join(one.value for one in WORST)}"
            )


@dataclass(frozen=True, slots=True)
class Signed:
    """The manifest has a signature that is valid and by somebody the namespace trusts."""

    kind: Literal["signed"] = "signed"


@dataclass(frozen=True, slots=True)
class TimeInStage:
    """The version stands in a stage, and has for so many days."""

    min_days: float
    stage: str = stages.STAGING
    kind: Literal["time_in_stage"] = "time_in_stage"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            _check_days(found, "min_days", self.min_days)
            found.require(
                self.stage in stages.STAGES,
                "stage",
                f"{checks.shown(self.stage)} is not a stage; there are {', '.join(stages.STAGES)}",
            )


@dataclass(frozen=True, slots=True)
class Approvals:
    """So many people approved who have a role for the move at its commit; '' is any such role."""

    count: int
    role: str = ""
    kind: Literal["approvals"] = "approvals"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("count", self.count, 1, _APPROVERS)
            found.text("role", self.role, limits.TOKEN_CHARS)


@dataclass(frozen=True, slots=True)
class FrozenWindows:
    """It is not a time at which nothing moves."""

    time_zone: str
    windows: tuple[freezes.Window, ...]
    reason: str = ""
    kind: Literal["frozen_windows"] = "frozen_windows"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            freezes.check_zone(found, "time_zone", self.time_zone)
            found.size("windows", self.windows, limits.GATE_ENTRIES, least=1)
            found.text("reason", self.reason, limits.REASON_CHARS)


Gate = (
    MetricThreshold
    | NonRegression
    | EvaluationAge
    | Evaluated
    | RequiredFields
    | FileSafety
    | Signed
    | TimeInStage
    | Approvals
    | FrozenWindows
)
"""One condition, with its parameters; `kind` is the word that policies and answers have for it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one gate.

    Attributes:
        gate: the gate, with its parameters.
        passed: whether it is met.
        sentence: why, with the figures; without a full stop.
        evidence: name of the resource that shows it, or ''.
        policy: name of the policy the gate is of; '' for what holds without one.
        is_pending: it is not met yet only because people have not approved yet, and nobody has
            asked for the move to be made.
    """

    gate: Gate
    passed: bool
    sentence: str
    evidence: str = ""
    policy: str = ""
    is_pending: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all gates of a move, at one instant of the database's clock.

    Attributes:
        stage: where to.
        verdicts: one for each gate, those of the namespace's policy before those of the model's.
        judged_at: when.
    """

    stage: str
    verdicts: tuple[Verdict, ...]
    judged_at: datetime.datetime

    @property
    def passed(self) -> bool:
        """Whether nothing but approvals is wanting."""
        return all(one.passed or one.is_pending for one in self.verdicts)

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """Those that are not met."""
        return tuple(one for one in self.verdicts if not one.passed and not one.is_pending)
