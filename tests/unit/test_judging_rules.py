"""Rules of recommending, of regression checks and of compliance, without any I/O."""

import dataclasses
import datetime
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import (
    comparison,
    compliance,
    errors,
    evaluation_plans,
    evaluations,
    names,
    recommending,
    regression,
    risks,
    tolerances,
)

HIGHER, LOWER = evaluations.Direction.HIGHER, evaluations.Direction.LOWER
NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def version(number: int) -> names.VersionName:
    return names.VersionName("acme", "voice", f"1.{number}.0")


def metric(value: float, name: str = "score", **fields: object) -> evaluations.Scored:
    stated = {"direction": HIGHER, "sample_count": 400, "standard_error": 0.01} | fields
    return evaluations.Scored(evaluations.Metric(name, value, **stated))  # type: ignore[arg-type]


def figures(*scored: evaluations.Scored) -> recommending.Figures:
    return {(one.metric.name, one.metric.slice): one for one in scored}


PLAN = evaluation_plans.Plan("score", HIGHER, "d")
SETTING = recommending.Setting(PLAN, "production", version(0), figures(metric(0.8)), 0.05)


def contender(number: int, value: float, **fields: object) -> recommending.Contender:
    stated = {"figures": figures(metric(value))} | fields
    return recommending.Contender(version(number), number, **stated)  # type: ignore[arg-type]


values = st.floats(0, 1, allow_nan=False)


@given(st.lists(st.tuples(values, st.booleans()), max_size=8))
def test_what_is_recommended_is_the_best_that_may_move_and_really_better(
    given_values: list[tuple[float, bool]],
) -> None:
    contenders = [
        contender(n, value, obstacles=("A gate.",) if blocked else ())
        for n, (value, blocked) in enumerate(given_values, start=1)
    ]
    found = recommending.recommend(SETTING, contenders, "d@1")
    assert Counter(one.version for one in found.considered) == Counter(
        one.version for one in contenders
    )
    # By hand: z of 1.96 at 798 degrees of freedom needs 0.0278 between two such figures.
    eligible = [
        (value, n)
        for n, (value, blocked) in enumerate(given_values, start=1)
        if not blocked and value - 0.8 > 0.0278
    ]
    recommended = [o for o in found.considered if o.outcome is recommending.Outcome.RECOMMENDED]
    assert len(recommended) == (found.version is not None)
    if eligible:
        best, number = max(eligible)
        assert found.version == version(number)
        assert f"score is {best:.4g}" in found.reasons[0]
    elif found.version is not None:  # just about at the edge of what is significant
        assert max(v for v, blocked in given_values if not blocked) - 0.8 > 0.0277


def test_lower_is_better_where_the_plan_says_so() -> None:
    plan = dataclasses.replace(PLAN, metric="latency", direction=LOWER)
    before = figures(metric(800, "latency", direction=LOWER, standard_error=5))
    setting = dataclasses.replace(SETTING, plan=plan, figures=before)
    contenders = [
        contender(n, 0, figures=figures(metric(ms, "latency", direction=LOWER, standard_error=5)))
        for n, ms in ((1, 700), (2, 600), (3, 900))
    ]
    found = recommending.recommend(setting, contenders, "d@1")
    assert found.version == version(2)
    assert [one.version.version for one in found.considered] == ["1.2.0", "1.1.0", "1.3.0"]


def test_a_metric_that_gets_better_the_other_way_does_not_decide() -> None:
    other = contender(1, 0, figures=figures(metric(0.9, direction=LOWER)))
    found = recommending.recommend(SETTING, [other], "d@1")
    assert found.version is None
    assert "Its score gets better lower" in found.considered[0].reasons[0]


def test_a_guard_that_nobody_measured_is_no_guard_that_holds() -> None:
    guard = tolerances.Tolerance("safety")
    setting = dataclasses.replace(SETTING, plan=dataclasses.replace(PLAN, guards=(guard,)))
    found = recommending.recommend(setting, [contender(1, 0.9)], "d@1")
    assert found.considered[0].outcome is recommending.Outcome.RULED_OUT
    assert found.considered[0].reasons == (
        "Its guard safety cannot be checked: the baseline has no such figure.",
    )


def test_of_equal_figures_the_newer_version_is_taken() -> None:
    found = recommending.recommend(SETTING, [contender(1, 0.9), contender(2, 0.9)], "d@1")
    assert found.version == version(2)


def test_without_errors_a_better_figure_is_taken_as_it_is() -> None:
    bare = {"standard_error": None, "sample_count": None}
    setting = dataclasses.replace(SETTING, figures=figures(metric(0.8, **bare)))
    other = contender(1, 0, figures=figures(metric(0.81, **bare)))
    found = recommending.recommend(setting, [other], "d@1")
    assert found.version == version(1)
    assert "no test possible" in found.reasons[0]


@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.floats(0, 1e6),
    st.sampled_from([HIGHER, LOWER]),
    st.booleans(),
)
def test_a_figure_fails_only_if_it_is_worse_by_more_than_it_may(
    before: float, after: float, allowed: float, direction: evaluations.Direction, strict: bool
) -> None:
    stated = {"direction": direction, "standard_error": 0.01}
    first, second = metric(before, **stated), metric(after, **stated)
    against = comparison.judge(version(1), first, second, 0.05)
    tolerance = tolerances.Tolerance("score", tolerance=allowed, is_strict=strict)
    beyond = tolerances.is_beyond(first.metric, against, tolerance)
    lost = before - after if direction is HIGHER else after - before
    if lost <= allowed:
        assert not beyond
    elif lost > allowed + 1e-8 * max(abs(before), abs(after)):
        assert beyond == (strict or against.verdict is comparison.Verdict.WORSE)
    assert tolerances.sentence(first.metric, against, tolerance)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1, 1e101])
def test_no_tolerance_is_beyond_reason(wrong: float) -> None:
    with pytest.raises(errors.InvalidArgument):
        tolerances.Tolerance("score", tolerance=wrong)


def test_the_most_particular_tolerance_counts() -> None:
    rules = regression.Rules(
        (
            tolerances.Tolerance("score", "*", 0.3),
            tolerances.Tolerance("score", "lang=de", 0.1),
            tolerances.Tolerance("score", "", 0.2),
        )
    )
    found = [rules.of("score", part).tolerance for part in ("", "lang=de", "lang=fr")]
    assert found == [0.2, 0.1, 0.3]
    assert rules.of("latency", "").tolerance == 0


subjects = st.builds(
    compliance.Subject,
    st.builds(
        names.VersionName,
        st.just("acme"),
        st.text("abcdefgh", min_size=1, max_size=8),
        st.just("1.0.0"),
    ),
    st.sampled_from(list(risks.RiskTier)),
    st.integers(0, 5),
    st.integers(-400, 400).map(lambda days: NOW + days * DAY),
    st.integers(0, 7),
)


@given(st.lists(subjects, max_size=60), st.integers(1, 9), st.integers(0, 400))
def test_a_plan_has_everything_once_in_order_and_never_too_much(
    found: list[compliance.Subject], per_week: int, days: int
) -> None:
    as_of = NOW + days * DAY
    ranked = sorted(found, key=lambda one: compliance.rank_key(one, as_of))
    overdue = [one for one in ranked if compliance.days_overdue(one.due_at, as_of)]
    assert ranked[: len(overdue)] == overdue  # what is overdue comes first
    weeks = [compliance.planned_on(n, per_week, as_of) for n in range(len(overdue))]
    assert weeks == sorted(weeks)
    assert max(Counter(weeks).values(), default=0) <= per_week
    assert all(week.weekday() == 0 and week >= as_of.date() for week in weeks)
    if weeks:
        assert (weeks[0] - as_of.date()).days < 7
        assert (weeks[-1] - weeks[0]).days == 7 * ((len(weeks) - 1) // per_week)
    scores = [
        compliance.score(one.tier, one.exposure, compliance.days_overdue(one.due_at, as_of))
        for one in ranked
    ]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("tier", "exposure", "late", "expected"),
    [
        (risks.RiskTier.LOW, 1, 10 * DAY, 10),
        (risks.RiskTier.CRITICAL, 2, 10 * DAY, 160),
        (risks.RiskTier.HIGH, 3, datetime.timedelta(seconds=1), 12),
        (risks.RiskTier.UNCLASSIFIED, 1, DAY, 2),
        (risks.RiskTier.MEDIUM, 0, 99 * DAY, 0),
        (risks.RiskTier.MEDIUM, 5, -DAY, 0),
        (risks.RiskTier.MEDIUM, 5, 0 * DAY, 0),
    ],
)
def test_scores_as_they_come_out_by_hand(
    tier: risks.RiskTier, exposure: int, late: datetime.timedelta, expected: int
) -> None:
    days = compliance.days_overdue(NOW - late, NOW)
    assert compliance.score(tier, exposure, days) == expected


def test_the_plan_of_a_tuesday_begins_on_monday() -> None:
    assert compliance.planned_on(0, 3, NOW) == datetime.date(2026, 11, 30)
    assert compliance.planned_on(3, 3, NOW) == datetime.date(2026, 12, 7)
    monday = datetime.datetime(2026, 11, 23, 23, 59, tzinfo=datetime.UTC)
    assert compliance.planned_on(0, 3, monday) == datetime.date(2026, 11, 23)
