"""Evaluations, as the SDK shows them, and what they are recorded from."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelkeep.client import refs


class MetricDirection(enum.StrEnum):
    """Which way a metric gets better."""

    UNSPECIFIED = "unspecified"
    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class EvaluationDataset:
    """The revision of a dataset that was measured on."""

    name: str
    revision: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationMetric:
    """One figure, of all examples or of a slice of them.

    Attributes:
        name: what was measured.
        value: the figure, in `unit`.
        direction: which way it gets better.
        slice: of which examples, for example `lang=de`; empty for all.
        unit: for example `ms`.
        sample_count: of how many examples, if that is known.
        standard_error: of the value, if it is known.
        ci_low: lower end of its confidence interval; both ends or none.
        ci_high: upper end of it.
        ci_level: level of confidence of the interval.
        proportion: whether it is the part of the examples that something holds of.
        examples_digest: set by the server where it keeps the scores of single examples.
    """

    name: str
    value: float
    direction: MetricDirection
    slice: str = ""
    unit: str = ""
    sample_count: int | None = None
    standard_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float = 0.95
    proportion: bool = False
    examples_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSet:
    """What single examples scored in one metric; the server sums them up.

    Attributes:
        metric: its name.
        direction: which way it gets better.
        scores: by the example's id.
        slice: of which examples these are; empty for all.
        unit: for example `ms`.
    """

    metric: str
    direction: MetricDirection
    scores: Mapping[str, float]
    slice: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """What to record about one run of a suite; metrics, scores, or both.

    Attributes:
        dataset: what was measured on.
        suite: which set of metrics.
        evaluator: what measured, with its version: `judge@1.4`.
        metrics: what came out.
        score_sets: scores of single examples.
        run_at: when it was measured; when it is recorded if None.
        note: for people.
    """

    dataset: EvaluationDataset
    suite: str
    evaluator: str
    metrics: tuple[EvaluationMetric, ...] = ()
    score_sets: tuple[ScoreSet, ...] = field(default=())
    run_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation; in lists with the metrics of all examples only."""

    name: str
    dataset: EvaluationDataset
    suite: str
    evaluator: str
    run_at: datetime | None
    metrics: tuple[EvaluationMetric, ...]
    metric_count: int
    note: str
    actor: str
    created_at: datetime | None
    supersedes: str
    superseded_by: str

    @property
    def ref(self) -> str:
        """`acme/voice@1.2.0/0123456789abcdef`, which `eval show` takes."""
        return shortened(self.name)


def shortened(name: str) -> str:
    """`acme/voice@1.2.0/0123456789abcdef` of an evaluation's resource name; '' of ''."""
    version, _, evaluation = name.partition("/evaluations/")
    return f"{refs.from_name(version)}/{evaluation}" if evaluation else ""


def full_name(text: str) -> str:
    """The resource name of `acme/voice@1.2.0/0123456789abcdef`, or of a resource name itself.

    Raises:
        BadReference: it is neither.
    """
    if "/evaluations/" in text:
        return text
    version, _, evaluation = text.rpartition("/")
    return f"{refs.parse_version(version).version_name}/evaluations/{evaluation}"
