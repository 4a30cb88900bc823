"""Regression checks: whether results are as good as a baseline's, figure by figure."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelkeep.domain import (
    checks,
    comparison,
    evaluations,
    limits,
    names,
    phrases,
    refs,
    tolerances,
)


class Outcome(enum.StrEnum):
    """What was found of a figure."""

    HELD = "held"
    REGRESSED = "regressed"
    NOT_COMPARABLE = "not_comparable"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is too much.

    Attributes:
        tolerated: how much worse figures may be; those that are not named not at all.
        allow_missing: whether what is missing or does not compare is let pass.
        is_strict: whether getting worse is too much even where chance could have done it.
        significance: below which p-value a difference counts as real.
    """

    tolerated: tuple[tolerances.Tolerance, ...] = ()
    allow_missing: bool = False
    is_strict: bool = False
    significance: float = comparison.SIGNIFICANCE

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            tolerances.check_distinct(found, "tolerances", self.tolerated)
            comparison.check_level(found, "significance", self.significance)

    def of(self, metric: str, part: str) -> tolerances.Tolerance:
        """The tolerance of a figure: its own, or that of all slices of the metric, or none."""
        own = [one for one in self.tolerated if one.metric == metric]
        for wanted in (part, tolerances.ANY_SLICE):
            for one in own:
                if one.slice == wanted:
                    strict = one.is_strict or self.is_strict
                    return tolerances.Tolerance(
                        metric, one.slice, one.tolerance, one.is_relative, strict
                    )
        return tolerances.Tolerance(metric, part, is_strict=self.is_strict)


@dataclass(frozen=True, slots=True)
class Question:
    """What is tested.

    Attributes:
        ref: which version, or its model if results come along.
        text: the same as it was written.
        baseline: what to compare with.
        results: what was measured and is not recorded; None for what is recorded of the version.
        dataset: without results, on which dataset.
        revision: which revision of it; '' for that of the baseline's last run.
        suite: without results, by which suite; '' for all that the baseline has.
        rules: what is too much.
    """

    ref: refs.Ref
    text: str
    baseline: refs.Ref
    results: evaluations.Report | None
    dataset: str
    revision: str
    suite: str
    rules: Rules

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("suite", self.suite, limits.NAME_CHARS)

    @property
    def place(self) -> str:
        """The dataset as it was asked for."""
        return f"{self.dataset}@{self.revision}" if self.revision else self.dataset


@dataclass(frozen=True, slots=True)
class Check:
    """One figure, or a whole suite that does not compare.

    Attributes:
        suite: which set of metrics it is of.
        metric: what was measured; '' for the suite as a whole.
        slice: of which examples; '' for all.
        outcome: what was found.
        sentence: the same in words, with the figures; without a full stop.
        failed: whether the report fails because of it.
        line: the figures, if there are any.
        tolerance: by how much it was allowed to be worse, in its unit.
    """

    suite: str
    metric: str
    slice: str
    outcome: Outcome
    sentence: str
    failed: bool
    line: comparison.Line | None = None
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """Whether results are as good as a baseline's; the checks that failed come first."""

    ref: str
    baseline: names.VersionName | None
    dataset: str
    checks: tuple[Check, ...]
    significance: float
    slices_tested: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not any(check.failed for check in self.checks)

    @property
    def summary(self) -> str:
        """The same in a sentence."""
        against = self.baseline.version if self.baseline else "the baseline"
        failed = [check for check in self.checks if check.failed]
        compared = sum(check.outcome in _COMPARED for check in self.checks)
        if not failed and not compared:
            return f"Nothing of {self.ref} could be compared with {against}, which is allowed."
        if not failed:
            return f"{self.ref} holds against {against}: {_figures(compared)} compared."
        worse = sum(check.outcome is Outcome.REGRESSED for check in failed)
        parts = [f"{_figures(worse)} worse than tolerated"] if worse else []
        parts += [f"{len(failed) - worse} not comparable"] if len(failed) > worse else []
        return f"{self.ref} fails against {against}: {', '.join(parts)}."


_COMPARED = frozenset({Outcome.HELD, Outcome.REGRESSED})


def _figures(count: int) -> str:
    return "1 figure" if count == 1 else f"{count:,} figures"


def check_lines(lines: Iterable[comparison.Line], rules: Rules) -> list[Check]:
    """One check for each figure of results that were compared with a baseline."""
    return [_check(line, rules) for line in lines]


def unmatched(suite: str, reason: str, rules: Rules) -> Check:
    """What is to be said of a suite that does not compare at all."""
    failed = not rules.allow_missing
    return Check(suite, "", "", Outcome.NOT_COMPARABLE, f"not comparable: {reason}", failed)


def ordered(found: Sequence[Check]) -> tuple[Check, ...]:
    """Those that failed first, and in each part whole suites and all examples before slices."""
    return tuple(
        sorted(found, key=lambda c: (not c.failed, bool(c.slice), c.suite, c.metric, c.slice))
    )


def _check(line: comparison.Line, rules: Rules) -> Check:
    name = phrases.metric(line.name, line.slice)
    # No candidate: the results are the baseline's own.
    against = line.candidates[0] if line.candidates else None
    place = (line.suite, line.name, line.slice)
    if line.baseline is None:
        what = f"{name} is new: the baseline has no such figure"
        return Check(*place, Outcome.NEW, what, False, line)
    if against is None:
        return Check(*place, Outcome.HELD, f"{name} is the baseline's own", False, line)
    if against.metric is None or against.verdict is comparison.Verdict.NOT_COMPARABLE:
        what = f"{name} is not comparable: {against.reason}"
        return Check(*place, Outcome.NOT_COMPARABLE, what, not rules.allow_missing, line)
    tolerance = rules.of(line.name, line.slice)
    beyond = tolerances.is_beyond(line.baseline, against, tolerance)
    return Check(
        *place,
        Outcome.REGRESSED if beyond else Outcome.HELD,
        tolerances.sentence(line.baseline, against, tolerance),
        beyond,
        line,
        tolerance.allowed(line.baseline.value),
    )
