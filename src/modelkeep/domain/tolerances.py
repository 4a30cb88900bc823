"""Tolerances: how much worse than a baseline a figure may be, and whether it is worse than that."""

import math
from dataclasses import dataclass

from modelkeep.domain import checks, comparison, evaluations, limits, phrases

ANY_SLICE = "*"
"""Stands for all examples and for every slice."""
_ROUNDING = 1e-9
"""0.80 - 0.77 is not exactly 0.03."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse one figure may be.

    Attributes:
        metric: which.
        slice: of which examples; '' for all, in regression checks `*` for all and every slice.
        tolerance: by how much, in the metric's unit, or as a part of the baseline's figure.
        is_relative: whether it is such a part.
        is_strict: whether more than that is too much even where chance could have done it.
    """

    metric: str
    slice: str = ""
    tolerance: float = 0.0
    is_relative: bool = False
    is_strict: bool = False

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("metric", self.metric, limits.NAME_CHARS, least=1)
            found.text("slice", self.slice, limits.NAME_CHARS)
            if evaluations.require_finite(found, "tolerance", self.tolerance):
                shown = f"is {self.tolerance}; expected 0 or more"
                found.require(self.tolerance >= 0, "tolerance", shown)

    def allowed(self, baseline: float) -> float:
        """By how much the figure may be worse than this one, in its unit."""
        return self.tolerance * abs(baseline) if self.is_relative else self.tolerance


def check_distinct(found: checks.Checks, field: str, entries: tuple[Tolerance, ...]) -> None:
    """Note too many, and a metric and slice that is there twice."""
    found.size(field, entries, limits.TOLERANCES)
    seen: set[tuple[str, str]] = set()
    for n, one in enumerate(entries):
        shown = checks.shown(phrases.metric(one.metric, one.slice))
        key = (one.metric, one.slice)
        found.require(key not in seen, f"{field}[{n}].metric", f"{shown} is there twice")
        seen.add(key)


def loss(direction: evaluations.Direction, delta: float) -> float:
    """How much worse a figure is that is `delta` above the baseline's; below 0 if it is better."""
    return -delta if direction is evaluations.Direction.HIGHER else delta


def is_beyond(
    before: evaluations.Metric, against: comparison.Candidate, tolerance: Tolerance
) -> bool:
    """Whether a figure that compares with the baseline's is worse than it may be.

    It is if it is worse by more than is allowed, and not by chance: a test says that the two really
    differ, or none is possible, or the tolerance is strict.
    """
    lost = loss(before.direction, against.delta or 0.0)
    allowed = tolerance.allowed(before.value)
    slack = _ROUNDING * max(abs(before.value), abs(before.value + (against.delta or 0.0)))
    if lost <= allowed + slack:
        return False
    return tolerance.is_strict or against.verdict is not comparison.Verdict.SAME


def sentence(
    before: evaluations.Metric, against: comparison.Candidate, tolerance: Tolerance
) -> str:
    """How a figure fares against the baseline's, with the figures; without a full stop."""
    assert against.metric is not None  # noqa: S101 - what compares has a figure
    lost = loss(before.direction, against.delta or 0.0)
    name = phrases.metric(before.name, before.slice)
    now, then = phrases.figure(against.metric), phrases.figure(before)
    if lost == 0:
        return f"{name} is {now}, as the baseline's"
    word = "worse" if lost > 0 else "better"
    by = phrases.amount(abs(lost), before.unit)
    return f"{name} is {now}, {by} {word} than {then}{_evidence(against)}" + (
        _limit(before, against, tolerance) if lost > 0 else ""
    )


def _evidence(against: comparison.Candidate) -> str:
    if against.outcome is None:
        return f" (no test possible: {against.reason})" if against.reason else ""
    shown = phrases.evidence(against.outcome, against.adjusted_p_value)
    real = "no real difference, " if against.verdict is comparison.Verdict.SAME else ""
    return f" ({real}{shown})"


def _limit(before: evaluations.Metric, against: comparison.Candidate, tolerance: Tolerance) -> str:
    allowed = tolerance.allowed(before.value)
    if not math.isfinite(allowed) or not allowed:
        return ""
    part = f" ({tolerance.tolerance * 100:.4g} %)" if tolerance.is_relative else ""
    what = "at most" if is_beyond(before, against, tolerance) else "up to"
    return f"; {what} {phrases.amount(allowed, before.unit)}{part} is tolerated"
