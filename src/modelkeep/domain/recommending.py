"""Which candidate to promote: by the plan's metric, with its guards, among those that may move.

Evidence is asked for, not assumed: what cannot be compared is not recommended, and if nothing is
really better than what stands there already, nothing is recommended.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelkeep.domain import (
    checks,
    comparison,
    evaluation_plans,
    evaluations,
    limits,
    names,
    phrases,
    refs,
    stages,
    tolerances,
)

Figures = Mapping[tuple[str, str], evaluations.Scored]
TARGETS = (stages.STAGING, stages.PRODUCTION)


class Outcome(enum.StrEnum):
    """What became of a candidate."""

    RECOMMENDED = "recommended"
    PASSED_OVER = "passed_over"
    RULED_OUT = "ruled_out"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        model: of which model.
        stage: where to.
        candidates: which versions to choose among; none for those that may move there.
        dataset: instead of the plan's; '' for that.
        revision: which revision of it; '' for that of the baseline's last run.
        significance: below which p-value a difference counts as real.
    """

    model: names.ModelName
    stage: str
    candidates: tuple[refs.Ref, ...] = ()
    dataset: str = ""
    revision: str = ""
    significance: float = comparison.SIGNIFICANCE

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            known = " or ".join(TARGETS)
            shown = f"is {checks.shown(self.stage)}; versions are recommended for {known}"
            found.require(self.stage in TARGETS, "stage", shown)
            found.size("candidates", self.candidates, limits.COMPARED_VERSIONS)
            for n, ref in enumerate(self.candidates):
                other = f"is of another model than {self.model}"
                found.require(ref.model == self.model, f"candidates[{n}]", other)
            comparison.check_level(found, "significance", self.significance)


@dataclass(frozen=True, slots=True)
class Contender:
    """A version that is considered, and what is known of it.

    Attributes:
        version: its name.
        ordinal: its number in the model.
        obstacles: why it may not move, in sentences; none if it may.
        support: what speaks for it besides figures, in sentences: that its gates pass.
        figures: what was measured the same way as of the baseline; None if nothing was.
        lacking: why there are no figures.
    """

    version: names.VersionName
    ordinal: int
    obstacles: tuple[str, ...] = ()
    support: tuple[str, ...] = ()
    figures: Figures | None = None
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What contenders are judged by.

    Attributes:
        plan: the model's plan.
        stage: where to.
        baseline: the version that stands there, or None.
        figures: what was measured of it.
        level: below which p-value a difference counts as real.
    """

    plan: evaluation_plans.Plan
    stage: str
    baseline: names.VersionName | None
    figures: Figures
    level: float


@dataclass(frozen=True, slots=True)
class Considered:
    """What became of a version, and why, in sentences."""

    version: names.VersionName
    outcome: Outcome
    reasons: tuple[str, ...]
    primary: comparison.Candidate | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which version to promote, if any, and why.

    Attributes:
        stage: where to.
        version: which; None if none.
        summary: the answer in a sentence.
        reasons: why, in sentences with the figures.
        baseline: the version that stands there now, or None.
        dataset: what was judged on, with its revision; '' if nothing was measured.
        considered: all that were, the recommended one first, then from the best to the worst.
        level: below which p-value a difference counts as real.
    """

    stage: str
    version: names.VersionName | None
    summary: str
    reasons: tuple[str, ...]
    baseline: names.VersionName | None
    dataset: str
    considered: tuple[Considered, ...]
    level: float


def recommend(setting: Setting, contenders: Sequence[Contender], dataset: str) -> Recommendation:
    """The best of those that may move, are comparable, hold the guards, and are really better.

    Args:
        setting: what they are judged by.
        contenders: the versions that are considered.
        dataset: what was judged on, with its revision.
    """
    judged = sorted(
        ((_judge(setting, one), one) for one in contenders),
        key=lambda pair: _order(setting, *pair),
    )
    eligible = [(found, one) for found, one in judged if found.outcome is Outcome.RECOMMENDED]
    considered = [found for found, _ in judged]
    if not eligible:
        summary, reasons = _none(setting, considered)
    else:
        summary = f"Move {eligible[0][0].version.version} to {setting.stage}."
        reasons = (*eligible[0][0].reasons, *_next_best(setting, [one for _, one in eligible]))
        for found, _ in eligible[1:]:
            considered[considered.index(found)] = _passed_over(found, eligible[0][0])
    version = eligible[0][0].version if eligible else None
    return Recommendation(
        setting.stage, version, summary, reasons, setting.baseline, dataset, tuple(considered),
        setting.level,
    )  # fmt: skip


_RANKS = {one: rank for rank, one in enumerate(Outcome)}


def _order(setting: Setting, found: Considered, one: Contender) -> tuple[int, float, int]:
    """Better outcomes first; then better figures, and of equal ones the newer version."""
    metric = _primary(setting.plan, one)
    worse = float("inf")
    if metric is not None:
        higher = setting.plan.direction is evaluations.Direction.HIGHER
        worse = -metric.metric.value if higher else metric.metric.value
    return _RANKS[found.outcome], worse, -one.ordinal


def _primary(plan: evaluation_plans.Plan, one: Contender) -> evaluations.Scored | None:
    return (one.figures or {}).get((plan.metric, plan.slice))


def _judge(setting: Setting, one: Contender) -> Considered:
    """What speaks for or against a version by itself; RECOMMENDED if nothing is against it."""
    plan, figure = setting.plan, _primary(setting.plan, one)
    name = phrases.metric(plan.metric, plan.slice)
    if figure is None:
        reason = one.lacking or f"the evaluation has no {name}"
        return _without_figure(one, f"Nothing tells how good it is: {reason}.")
    if figure.metric.direction is not plan.direction:
        return _without_figure(
            one,
            f"Its {name} gets better {figure.metric.direction}, and the plan says that it does "
            f"{plan.direction}.",
        )
    before = setting.figures.get((plan.metric, plan.slice))
    if setting.baseline is None or before is None:
        if setting.baseline is not None:
            reason = f"{setting.baseline.version}, which is in {setting.stage}, has no {name}"
            return _without_figure(one, f"Nothing tells whether it is better: {reason}.")
        first = f"{name} is {phrases.figure(figure.metric)}, and nothing is in {setting.stage} yet."
        outcome = Outcome.RULED_OUT if one.obstacles else Outcome.RECOMMENDED
        reasons = one.obstacles or (first, *one.support)
        return Considered(one.version, outcome, reasons)
    primary = comparison.judge(one.version, before, figure, setting.level)
    against, held = _guards(setting, one)
    if one.obstacles or against:
        return Considered(one.version, Outcome.RULED_OUT, (*one.obstacles, *against), primary)
    told = tolerances.sentence(before.metric, primary, tolerances.Tolerance(plan.metric))
    return _by_primary(setting, one, primary, (f"{told}.", *held))


def _without_figure(one: Contender, reason: str) -> Considered:
    outcome = Outcome.RULED_OUT if one.obstacles else Outcome.NOT_COMPARABLE
    return Considered(one.version, outcome, (*one.obstacles, reason))


def _by_primary(
    setting: Setting, one: Contender, primary: comparison.Candidate, reasons: tuple[str, ...]
) -> Considered:
    gained = -tolerances.loss(setting.plan.direction, primary.delta or 0.0)
    is_better = primary.verdict is comparison.Verdict.BETTER
    is_better |= primary.verdict is comparison.Verdict.UNTESTED and gained > 0
    if is_better:
        return Considered(one.version, Outcome.RECOMMENDED, (*reasons, *one.support), primary)
    against = "another unit than the baseline's does not compare"
    if primary.verdict is not comparison.Verdict.NOT_COMPARABLE:
        assert setting.baseline is not None  # noqa: S101 - it was compared with
        against = f"is not really better than {setting.baseline.version}"
        return Considered(
            one.version, Outcome.PASSED_OVER, (f"It {against}: {reasons[0]}", *reasons[1:]), primary
        )
    return Considered(
        one.version, Outcome.NOT_COMPARABLE, (f"{against}: {primary.reason}.",), primary
    )


def _guards(setting: Setting, one: Contender) -> tuple[list[str], list[str]]:
    """What each guard that fails says, and what each that holds says."""
    against, held = [], []
    for guard in setting.plan.guards:
        key = (guard.metric, guard.slice)
        name = phrases.metric(*key)
        before, after = setting.figures.get(key), (one.figures or {}).get(key)
        if before is None or after is None:
            whose = "the baseline" if before is None else "it"
            against.append(f"Its guard {name} cannot be checked: {whose} has no such figure.")
            continue
        found = comparison.judge(one.version, before, after, setting.level)
        if found.verdict is comparison.Verdict.NOT_COMPARABLE:
            against.append(f"Its guard {name} cannot be checked: {found.reason}.")
        elif tolerances.is_beyond(before.metric, found, guard):
            told = tolerances.sentence(before.metric, found, guard)
            against.append(f"Its guard does not hold: {told}.")
        else:
            held.append(f"{tolerances.sentence(before.metric, found, guard)}.")
    return against, held


def _passed_over(found: Considered, best: Considered) -> Considered:
    reason = f"It could move, and {best.version.version} has the better figure."
    return Considered(found.version, Outcome.PASSED_OVER, (reason, *found.reasons), found.primary)


def _next_best(setting: Setting, eligible: Sequence[Contender]) -> tuple[str, ...]:
    """How the best stands to the next one, because chance may have chosen between the two."""
    if len(eligible) == 1:
        return ()
    best, following = (_primary(setting.plan, one) for one in eligible[:2])
    assert best is not None and following is not None  # noqa: S101, PT018 - both are eligible
    other = eligible[1].version
    found = comparison.judge(eligible[0].version, following, best, setting.level)
    told = tolerances.sentence(following.metric, found, tolerances.Tolerance(setting.plan.metric))
    if found.verdict is comparison.Verdict.BETTER:
        return (f"Next comes {other.version}: {told}.",)
    return (f"Next comes {other.version}, and chance may have chosen between the two: {told}.",)


def _none(setting: Setting, considered: Sequence[Considered]) -> tuple[str, tuple[str, ...]]:
    if not considered:
        reason = f"There is no version from whose stage a move leads to {setting.stage}."
        return f"Move none to {setting.stage}.", (reason,)
    counts = {one: sum(c.outcome is one for c in considered) for one in Outcome}
    words = {
        Outcome.PASSED_OVER: "not really better than what is there",
        Outcome.RULED_OUT: "ruled out",
        Outcome.NOT_COMPARABLE: "not comparable",
    }
    parts = [f"{counts[one]} {word}" for one, word in words.items() if counts[one]]
    kept = f"; keep {setting.baseline.version}" if setting.baseline else ""
    reason = f"Of {len(considered)} considered: {', '.join(parts)}."
    return f"Move none to {setting.stage}{kept}.", (reason,)
