"""Evaluation plans, recommendations and regression reports, as the SDK shows them."""

import enum
from dataclasses import dataclass
from datetime import datetime

from modelkeep.client import comparison_records, evaluation_records


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTolerance:
    """How much worse than the baseline's a figure may be.

    Attributes:
        metric: which metric.
        slice: of which examples; empty for all; in regression checks `*` for all and every slice.
        tolerance: by how much, in the metric's unit.
        relative: whether it is a part of the baseline's figure instead: 0.05 is 5 %.
        strict: whether more than that is too much even where chance could have done it.
    """

    metric: str
    slice: str = ""
    tolerance: float = 0.0
    relative: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """What a model's versions are judged by.

    Attributes:
        metric: the metric that decides.
        direction: which way it gets better.
        dataset: `name@revision`, or `name` for the revision of the baseline's last run.
        slice: of which examples; empty for all.
        suite: by which suite; empty for any.
        guards: what must not get worse.
        actor: who said so; set by the server.
        updated_at: when; set by the server.
        etag: changes with every change; set by the server.
    """

    metric: str
    direction: evaluation_records.MetricDirection
    dataset: str
    slice: str = ""
    suite: str = ""
    guards: tuple[MetricTolerance, ...] = ()
    actor: str = ""
    updated_at: datetime | None = None
    etag: str = ""


class CandidateOutcome(enum.StrEnum):
    """What became of a candidate."""

    UNSPECIFIED = "unspecified"
    RECOMMENDED = "recommended"
    PASSED_OVER = "passed_over"
    RULED_OUT = "ruled_out"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsideredCandidate:
    """A version that was considered, why it was taken or not, and its figure that decides."""

    version: str
    outcome: CandidateOutcome
    reasons: tuple[str, ...]
    primary: comparison_records.ComparedCandidate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Which version to move to a stage, and why; `version` is None if none should.

    Attributes:
        model: `acme/voice`.
        stage: where to.
        version: `acme/voice@1.3.0`, or None.
        summary: the answer in a sentence.
        reasons: why, in sentences with the figures.
        baseline: the version that stands there now, or None.
        dataset: what was judged on, with its revision; empty if nothing was measured.
        plan: what it was judged by.
        candidates: all that were considered, the recommended one first.
        significance: below which p-value a difference counts as real.
    """

    model: str
    stage: str
    version: str | None
    summary: str
    reasons: tuple[str, ...]
    baseline: str | None
    dataset: str
    plan: EvaluationPlan
    candidates: tuple[ConsideredCandidate, ...]
    significance: float


class RegressionOutcome(enum.StrEnum):
    """What was found of a figure."""

    UNSPECIFIED = "unspecified"
    HELD = "held"
    REGRESSED = "regressed"
    NOT_COMPARABLE = "not_comparable"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionCheck:
    """A figure that was checked; `metric` is empty for a suite that does not compare at all.

    Attributes:
        suite: which set of metrics it is of.
        metric: what was measured.
        slice: of which examples; empty for all.
        direction: which way it gets better.
        unit: its unit.
        outcome: what was found.
        sentence: the same in words, with the figures; without a full stop.
        failed: whether the report fails because of it.
        baseline: the baseline's figure, if there is one.
        candidate: the figure against it.
        tolerance: by how much it was allowed to be worse, in its unit.
    """

    suite: str
    metric: str
    slice: str
    direction: evaluation_records.MetricDirection
    unit: str
    outcome: RegressionOutcome
    sentence: str
    failed: bool
    baseline: comparison_records.ComparedFigure | None
    candidate: comparison_records.ComparedCandidate | None
    tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionReport:
    """Whether results are as good as a baseline's; what failed comes first.

    Attributes:
        ref: what was tested, as it was asked for.
        baseline: the version that was compared with, or None.
        dataset: the dataset as it was asked for.
        passed: whether nothing failed.
        summary: the same in a sentence.
        checks: all figures.
        significance: below which p-value a difference counts as real.
        slices_tested: for how many slices of one metric p-values were adjusted, at most.
        truncated: whether checks are missing because the answer would be too large.
    """

    ref: str
    baseline: str | None
    dataset: str
    passed: bool
    summary: str
    checks: tuple[RegressionCheck, ...]
    significance: float
    slices_tested: int
    truncated: bool
