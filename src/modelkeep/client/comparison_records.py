"""Comparisons, as the SDK shows them."""

import enum
from dataclasses import dataclass

from modelkeep.client import evaluation_records


class ComparisonVerdict(enum.StrEnum):
    """What a figure is against the baseline's."""

    UNSPECIFIED = "unspecified"
    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNTESTED = "untested"
    NOT_COMPARABLE = "not_comparable"


class SignificanceTest(enum.StrEnum):
    """How it was decided whether a difference is real; UNSPECIFIED if no test was possible."""

    UNSPECIFIED = "unspecified"
    PAIRED_T = "paired_t"
    MCNEMAR_EXACT = "mcnemar_exact"
    TWO_PROPORTION_Z = "two_proportion_z"
    FISHER_EXACT = "fisher_exact"
    WELCH_T = "welch_t"
    INTERVAL_Z = "interval_z"
    SIGN_EXACT = "sign_exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """A figure with how sure it is, as far as that is known."""

    value: float
    sample_count: int | None
    standard_error: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCandidate:
    """A version's figure against the baseline's.

    Attributes:
        version: `acme/voice@1.2.0`.
        verdict: what it is.
        figure: the figure, if there is one.
        delta: how much it is above the baseline's.
        delta_standard_error: of that, if the test has one.
        test: the test that was made.
        statistic: z or t.
        degrees_of_freedom: of t.
        p_value: how probable so large a difference is if there is none.
        adjusted_p_value: the same adjusted for the number of slices, which decides.
        reason: why nothing was tested or compared.
    """

    version: str
    verdict: ComparisonVerdict
    figure: ComparedFigure | None
    delta: float | None
    delta_standard_error: float | None
    test: SignificanceTest
    statistic: float | None
    degrees_of_freedom: float | None
    p_value: float | None
    adjusted_p_value: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMetric:
    """One metric and slice in all versions."""

    suite: str
    name: str
    slice: str
    direction: evaluation_records.MetricDirection
    unit: str
    baseline: ComparedFigure | None
    candidates: tuple[ComparedCandidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedVersion:
    """A version that could not be compared by a suite, and why."""

    version: str
    suite: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How versions fared against a baseline.

    Attributes:
        baseline: the version that was compared with, `acme/voice@1.2.0`.
        versions: those that were compared.
        dataset: as it was asked for.
        significance: below which p-value a difference counts as real.
        evaluations: what the figures are of, without metrics.
        metrics: the figures, those of all examples before those of slices.
        unmatched: what could not be compared at all.
        slices_tested: for how many slices of one metric p-values were adjusted, at most.
        truncated: whether metrics are missing because there are too many; name a suite.
    """

    baseline: str
    versions: tuple[str, ...]
    dataset: str
    significance: float
    evaluations: tuple[evaluation_records.Evaluation, ...]
    metrics: tuple[ComparedMetric, ...]
    unmatched: tuple[UnmatchedVersion, ...]
    slices_tested: int
    truncated: bool
