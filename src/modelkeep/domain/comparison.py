"""Comparison: whether versions are better or worse than another, and how that was decided.

Figures compare only if they were measured the same way: of the same revision of the dataset, by the
same suite and the same version of the evaluator, under the same name, slice and direction.
"""

import dataclasses
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelkeep.domain import checks, evaluations, limits, names, refs, significance

SIGNIFICANCE = 0.05
"""The p-value below which a difference counts as real, unless asked otherwise."""


def check_level(found: checks.Checks, field: str, level: float) -> None:
    """Note a level of significance that no decision can be made by."""
    ok = 0 < level < 0.5  # noqa: PLR2004 - more is no evidence at all
    found.require(ok, field, f"is {level}; expected above 0 and below 0.5")


class Verdict(enum.StrEnum):
    """What a figure is against the baseline's."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNTESTED = "untested"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be compared.

    Attributes:
        versions: which, the first of them the baseline unless there is one.
        dataset: name of the dataset.
        revision: which revision of it; '' for that of the baseline's last run.
        suite: which suite; '' for all that the baseline has.
        baseline: what to compare with, if it is not the first.
        significance: below which p-value a difference counts as real.
    """

    versions: tuple[refs.Ref, ...]
    dataset: str
    revision: str = ""
    suite: str = ""
    baseline: refs.Ref | None = None
    significance: float = SIGNIFICANCE

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("refs", self.versions, limits.COMPARED_VERSIONS, least=1)
            alone = len(self.versions) == 1 and self.baseline is None
            found.require(not alone, "refs", "names one version; name another, or a baseline")
            found.text("suite", self.suite, limits.NAME_CHARS)
            check_level(found, "significance", self.significance)

    @property
    def asked(self) -> tuple[refs.Ref, ...]:
        """All that it names, the baseline first."""
        return (self.baseline, *self.versions) if self.baseline else self.versions


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation of a version with the scores that are kept of it."""

    version: names.VersionName
    evaluation: evaluations.Evaluation
    figures: Mapping[tuple[str, str], evaluations.Scored]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One version's figure against the baseline's.

    Attributes:
        version: whose.
        verdict: what it is.
        metric: the figure; None if there is none.
        delta: how much it is above the baseline's; None if either is missing.
        outcome: the test that decided it, if one was possible.
        adjusted_p_value: p-value adjusted for the number of slices, which decides; None without.
        reason: why nothing was tested or compared, or ''.
    """

    version: names.VersionName
    verdict: Verdict
    metric: evaluations.Metric | None = None
    delta: float | None = None
    outcome: significance.Outcome | None = None
    adjusted_p_value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One metric and slice: the baseline's figure and those of all others."""

    suite: str
    name: str
    slice: str
    direction: evaluations.Direction
    unit: str
    baseline: evaluations.Metric | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Why a version cannot be compared by a suite at all."""

    version: names.VersionName
    suite: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer.

    Attributes:
        baseline: what was compared with.
        versions: what was compared.
        dataset: the dataset as it was asked for.
        significance: below which p-value a difference counts as real.
        runs: the evaluations the figures are of.
        lines: the figures, those of all examples before those of slices.
        unmatched: what could not be compared at all.
        slices_tested: for how many slices p-values were adjusted: most of one metric and version.
    """

    baseline: names.VersionName
    versions: tuple[names.VersionName, ...]
    dataset: str
    significance: float
    runs: tuple[evaluations.Evaluation, ...]
    lines: tuple[Line, ...]
    unmatched: tuple[Unmatched, ...]
    slices_tested: int


def compare_suite(
    suite: str, baseline: Run, others: Sequence[Run], level: float
) -> tuple[list[Line], int]:
    """The lines of one suite, and the most slices that one metric of one version was tested for."""
    columns = [_column(baseline, other, level) for other in others]
    keys = list(baseline.figures)
    keys += [key for other in others for key in other.figures if key not in baseline.figures]
    keys = sorted(dict.fromkeys(keys), key=lambda key: (bool(key[1]), key[0], key[1]))
    lines = [_line(suite, key, baseline, others, columns) for key in keys]
    return lines, max((_tested(column.values()) for column in columns), default=0)


def _line(
    suite: str,
    key: tuple[str, str],
    baseline: Run,
    others: Sequence[Run],
    columns: Sequence[Mapping[tuple[str, str], Candidate]],
) -> Line:
    first = next(run.figures[key].metric for run in (baseline, *others) if key in run.figures)
    candidates = tuple(
        column.get(key) or _missing(other.version, key)
        for column, other in zip(columns, others, strict=True)
    )
    own = baseline.figures.get(key)
    return Line(suite, *key, first.direction, first.unit, own.metric if own else None, candidates)


def _missing(version: names.VersionName, key: tuple[str, str]) -> Candidate:
    what = f"slice {key[1]!r} of {key[0]!r}" if key[1] else f"{key[0]!r}"
    reason = f"the evaluation has no {what}"
    return Candidate(version, Verdict.NOT_COMPARABLE, reason=reason)


def _column(baseline: Run, other: Run, level: float) -> dict[tuple[str, str], Candidate]:
    """One version's figures, the p-values of each metric's slices adjusted for their number."""
    made = {
        key: judge(other.version, baseline.figures.get(key), figure, level)
        for key, figure in other.figures.items()
    }
    for name in {name for name, part in made if part}:
        slices = [key for key, one in made.items() if key[0] == name and key[1] and one.outcome]
        p_values = [made[key].outcome.p_value for key in slices]  # type: ignore[union-attr]
        for key, p_value in zip(slices, significance.holm(p_values), strict=True):
            made[key] = _decided(made[key], p_value, level)
    return made


def _tested(candidates: Iterable[Candidate]) -> int:
    """The most slices of one metric that were tested."""
    counts: dict[str, int] = {}
    for one in candidates:
        if one.outcome and one.metric and one.metric.slice:
            counts[one.metric.name] = counts.get(one.metric.name, 0) + 1
    return max(counts.values(), default=0)


def judge(
    version: names.VersionName,
    baseline: evaluations.Scored | None,
    figure: evaluations.Scored,
    level: float,
) -> Candidate:
    """What a figure is against the baseline's figure of the same name and slice."""
    if baseline is None:
        reason = "the baseline has no such figure"
        return Candidate(version, Verdict.NOT_COMPARABLE, figure.metric, reason=reason)
    before, after = baseline.metric, figure.metric
    if before.direction is not after.direction or before.unit != after.unit:
        field = "direction" if before.direction is not after.direction else "unit"
        now, then = str(getattr(after, field)), str(getattr(before, field))
        reason = f"{field} is {now!r}, the baseline's {then!r}"
        return Candidate(version, Verdict.NOT_COMPARABLE, after, reason=reason)
    outcome, reason = tested(baseline, figure)
    delta = after.value - before.value
    candidate = Candidate(version, Verdict.UNTESTED, after, delta, outcome, None, reason)
    return _decided(candidate, outcome.p_value, level) if outcome else candidate


def _decided(candidate: Candidate, p_value: float, level: float) -> Candidate:
    """The candidate with its verdict by this p-value."""
    assert candidate.metric is not None  # noqa: S101 - who has an outcome has a figure
    delta = candidate.delta or 0.0
    is_better = (delta > 0) == (candidate.metric.direction is evaluations.Direction.HIGHER)
    verdict = Verdict.BETTER if is_better else Verdict.WORSE
    if p_value >= level or delta == 0:
        verdict = Verdict.SAME
    return dataclasses.replace(candidate, verdict=verdict, adjusted_p_value=p_value)


def tested(
    baseline: evaluations.Scored, figure: evaluations.Scored
) -> tuple[significance.Outcome | None, str]:
    """The outcome of the strongest test that what is known allows, or why there is none.

    In this order: of the same examples a paired test; of two proportions the z test; of two means
    with standard errors and counts Welch's t; of errors or intervals without counts a z test.
    """
    before, after = baseline.metric, figure.metric
    if baseline.scores and figure.scores and before.examples == after.examples:
        return significance.paired(baseline.scores, figure.scores), ""
    if before.is_proportion and after.is_proportion:
        n_before, n_after = before.sample_count or 1, after.sample_count or 1
        return significance.two_proportions(before.value, n_before, after.value, n_after), ""
    if before.error is None or after.error is None:
        return None, _lacking(before.error, after.error)
    return _by_errors(before, after, (before.error, after.error))


def _lacking(before: float | None, after: float | None) -> str:
    if before is None and after is None:
        return "neither states an error or an interval"
    return f"the {'baseline' if before is None else 'version'} states no error and no interval"


def _by_errors(
    before: evaluations.Metric, after: evaluations.Metric, found: tuple[float, float]
) -> tuple[significance.Outcome | None, str]:
    difference = after.value - before.value
    if max(found) == 0:
        return None, "neither figure has any spread"
    n_before, n_after = before.sample_count or 0, after.sample_count or 0
    if min(n_before, n_after) > 1:
        return significance.welch(difference, found, (n_before, n_after)), ""
    return significance.known_errors(difference, found), ""
