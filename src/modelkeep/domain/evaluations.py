"""Evaluations: figures that somebody measured of a sealed version on a dataset."""

import datetime
import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits, names, significance

CI_LEVEL = 0.95
"""Level of confidence of an interval that does not state its own."""
CLOCK_SKEW = datetime.timedelta(minutes=5)
"""How far the clock that dated a run may be ahead of ours."""
_EARLIEST = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Direction(enum.StrEnum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The revision of a dataset that was measured on."""

    name: str
    revision: str
    digest: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("name", self.name, limits.NAME_CHARS, least=1)
            found.text("revision", self.revision, limits.REVISION_CHARS, least=1)
            found.require("@" not in self.revision, "revision", "contains an '@'")
            found.digest("digest", self.digest, optional=True)

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure, of all examples or of a slice of them.

    Attributes:
        name: what was measured.
        value: the figure, in `unit`.
        direction: which way it gets better.
        slice: of which examples, for example `lang=de`; '' for all.
        unit: for example `ms`; '' for none.
        sample_count: of how many examples; None if that is not known.
        standard_error: of the value; None if that is not known.
        ci_low: lower end of its confidence interval, or None.
        ci_high: upper end of it, or None.
        ci_level: the interval's level of confidence, between 0.5 and 1.
        is_proportion: whether it is the part of the examples that something holds of.
        examples: digest of the ids of the examples whose scores are kept; '' if none are.
    """

    name: str
    value: float
    direction: Direction
    slice: str = ""
    unit: str = ""
    sample_count: int | None = None
    standard_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float = CI_LEVEL
    is_proportion: bool = False
    examples: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("name", self.name, limits.NAME_CHARS, least=1)
            found.text("slice", self.slice, limits.NAME_CHARS)
            found.text("unit", self.unit, limits.TOKEN_CHARS)
            require_finite(found, "value", self.value)
            self._check_errors(found)
            self._check_interval(found)

    def _check_errors(self, found: checks.Checks) -> None:
        count, error = self.sample_count, self.standard_error
        if count is not None:
            found.number("sample_count", count, 1, limits.INT64_MAX)
        if error is not None and require_finite(found, "standard_error", error):
            found.require(error >= 0, "standard_error", f"is {error}; expected 0 or more")
        if self.is_proportion:
            found.number("value", self.value, 0, 1)
            found.require(count is not None, "sample_count", "must be set for a proportion")

    def _check_interval(self, found: checks.Checks) -> None:
        low, high = self.ci_low, self.ci_high
        ends = {"ci_low": low, "ci_high": high}
        for field, end in ends.items():
            if end is None:
                other = "ci_high" if field == "ci_low" else "ci_low"
                found.require(ends[other] is None, field, f"must be set if {other} is")
            else:
                require_finite(found, field, end)
        if low is not None and high is not None and low > high:
            found.require(False, "ci_low", f"is {low}, above ci_high, which is {high}")
        ok = 0.5 < self.ci_level < 1  # noqa: PLR2004 - a level below says nothing
        found.require(ok, "ci_level", f"is {self.ci_level}; expected between 0.5 and 1")

    @property
    def error(self) -> float | None:
        """The standard error, stated or implied by what is; None if nothing tells it."""
        if self.standard_error is not None:
            return self.standard_error
        if self.is_proportion and self.sample_count:
            return significance.error_of_proportion(self.value, self.sample_count)
        if self.ci_low is not None and self.ci_high is not None:
            return significance.error_of_interval(self.ci_low, self.ci_high, self.ci_level)
        return None


@dataclass(frozen=True, slots=True)
class Scored:
    """A metric that was summarised from scores, and these in the order of their examples."""

    metric: Metric
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What is recorded about one run of a suite.

    Attributes:
        dataset: what was measured on.
        suite: which set of metrics was measured.
        evaluator: what measured, with its version, for example `judge@1.4`.
        run_at: when.
        figures: what came out; each name and slice once.
        note: for people; why it corrects another, for example.
    """

    dataset: Dataset
    suite: str
    evaluator: str
    run_at: datetime.datetime
    figures: tuple[Scored, ...]
    note: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("suite", self.suite, limits.NAME_CHARS, least=1)
            found.text("evaluator", self.evaluator, limits.NAME_CHARS, least=1)
            found.text("note", self.note, limits.REASON_CHARS, layout=True)
            found.require(self.run_at >= _EARLIEST, "run_time", "is before 1970")
            found.size("metrics", self.figures, limits.EVALUATION_METRICS)
            _check_consistent(found, [figure.metric for figure in self.figures])


@dataclass(frozen=True, slots=True)
class Terms:
    """How a report is recorded.

    Attributes:
        supersedes: the evaluation that it corrects.
        unless_recorded: whether an evaluation that says all the same is answered instead.
    """

    supersedes: names.EvaluationName | None = None
    unless_recorded: bool = False


def _check_consistent(found: checks.Checks, metrics: Iterable[Metric]) -> None:
    """Each name and slice once, and each name in one direction."""
    seen: set[tuple[str, str]] = set()
    directions: dict[str, Direction] = {}
    for n, metric in enumerate(metrics):
        at = f"metrics[{n}]"
        shown = checks.shown(metric.name)
        known = directions.setdefault(metric.name, metric.direction)
        found.require(
            (metric.name, metric.slice) not in seen, f"{at}.name", f"{shown} is there twice"
        )
        found.require(
            known is metric.direction,
            f"{at}.direction",
            f"is {metric.direction}; for another slice of {shown} it is {known}",
        )
        seen.add((metric.name, metric.slice))


def require_finite(found: checks.Checks, field: str, value: float) -> bool:
    """Note a value that is NaN, infinite, or so large that its square would be."""
    ok = math.isfinite(value) and abs(value) <= limits.MEASURED
    return found.require(ok, field, f"is {value}; expected a finite number of at most 1e100")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation as it stands; only whether another supersedes it ever changes.

    Attributes:
        name: its name.
        dataset: what was measured on.
        suite: which set of metrics.
        evaluator: what measured.
        run_at: when it was measured.
        metrics: what came out; in lists only those of all examples.
        metric_count: how many there are, slices included.
        note: for people.
        actor: who recorded it.
        created_at: when it was recorded.
        supersedes: which evaluation it corrects, or None.
        superseded_by: which one corrects it, or None.
    """

    name: names.EvaluationName
    dataset: Dataset
    suite: str
    evaluator: str
    run_at: datetime.datetime
    metrics: tuple[Metric, ...]
    metric_count: int
    note: str
    actor: str
    created_at: datetime.datetime
    supersedes: names.EvaluationName | None = None
    superseded_by: names.EvaluationName | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which evaluations of a version: of a dataset, of a revision, of a suite, superseded ones."""

    dataset: str = ""
    revision: str = ""
    suite: str = ""
    superseded: bool = False

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("suite", self.suite, limits.NAME_CHARS)


def dataset_of(text: str) -> tuple[str, str]:
    """Name and revision of `name@revision`; the revision is '' if there is none.

    Raises `errors.InvalidArgument`.
    """
    name, at, revision = text.rpartition("@")
    if not at:
        name, revision = text, ""
    found = checks.Checks()
    found.text("", name, limits.NAME_CHARS, least=1)
    found.text("", revision, limits.REVISION_CHARS)
    found.require(bool(revision) or not at or not name, "", "names no revision behind the '@'")
    return found.finish(lambda: (name, revision))


def require_past(run_at: datetime.datetime, now: datetime.datetime) -> None:
    """Raise `errors.InvalidArgument` if a run is to have been in the future."""
    if run_at > now + CLOCK_SKEW:
        raise errors.invalid(
            f"is {run_at:%Y-%m-%d %H:%M:%S} UTC, and it is {now:%Y-%m-%d %H:%M:%S} UTC; "
            "set the clock of the machine that measures",
            "evaluation.run_time",
        )


def require_directions(report: Report, known: dict[str, Direction]) -> None:
    """Raise `errors.InvalidArgument` for metrics that get better the other way elsewhere.

    Args:
        report: what is to be recorded.
        known: directions that the suite's metrics have in other evaluations of the model.
    """
    with checks.Checks() as found:
        for n, figure in enumerate(report.figures):
            metric = figure.metric
            before = known.get(metric.name, metric.direction)
            found.require(
                before is metric.direction,
                f"evaluation.metrics[{n}].direction",
                f"is {metric.direction}; {checks.shown(metric.name)} of suite "
                f"{checks.shown(report.suite)} is {before} in other evaluations of the model",
            )
