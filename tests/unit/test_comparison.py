"""Verdicts: which test is chosen, what compares, and what holds whatever the figures are."""

import datetime
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from modelkeep.domain import comparison, errors, evaluations, matching, names, scores, significance

D, V, T = evaluations.Direction, comparison.Verdict, significance.Test
VERSION = names.VersionName("acme", "chatbot", "1.3.0")
LEVEL = 0.05
NOON = datetime.datetime(2026, 10, 1, 12, tzinfo=datetime.UTC)


def figure(value: float, kept: tuple[float, ...] = (), **fields: Any) -> evaluations.Scored:
    stated: dict[str, Any] = {"name": "score", "direction": D.HIGHER} | fields
    return evaluations.Scored(evaluations.Metric(value=value, **stated), kept)


def judged(before: evaluations.Scored, after: evaluations.Scored) -> comparison.Candidate:
    return comparison.judge(VERSION, before, after, LEVEL)


def run(*figures: evaluations.Scored) -> comparison.Run:
    by_key = {(one.metric.name, one.metric.slice): one for one in figures}
    return comparison.Run(VERSION, evaluation(), by_key)


def evaluation(**fields: Any) -> evaluations.Evaluation:
    dataset = evaluations.Dataset(
        "satisfaction", fields.pop("revision", "2026-10"), fields.pop("digest", "")
    )
    stated = {
        "name": names.EvaluationName(VERSION, "0" * 16),
        "suite": "satisfaction",
        "evaluator": "judge@1.4",
        "run_at": NOON,
        "metrics": (),
        "metric_count": 1,
        "note": "",
        "actor": "ann",
        "created_at": NOON,
    }
    return evaluations.Evaluation(dataset=dataset, **(stated | fields))


@pytest.mark.parametrize(
    ("before", "after", "test"),
    [
        (
            figure(0.8, is_proportion=True, sample_count=400),
            figure(0.9, is_proportion=True, sample_count=400),
            T.TWO_PROPORTION_Z,
        ),
        (
            figure(0.8, standard_error=0.01, sample_count=400),
            figure(0.9, standard_error=0.02, sample_count=300),
            T.WELCH_T,
        ),
        (figure(0.8, standard_error=0.01), figure(0.9, standard_error=0.02), T.INTERVAL_Z),
        (figure(0.8, ci_low=0.78, ci_high=0.82), figure(0.9, standard_error=0.01), T.INTERVAL_Z),
        (
            figure(0.5, (0, 1, 0, 1), examples="sha256:" + "a" * 64),
            figure(0.75, (0, 1, 1, 1), examples="sha256:" + "a" * 64),
            T.MCNEMAR_EXACT,
        ),
        (
            figure(1.5, (1, 2), examples="sha256:" + "a" * 64),
            figure(2.75, (2, 3.5), examples="sha256:" + "a" * 64),
            T.PAIRED_T,
        ),
    ],
)
def test_the_strongest_test_that_is_possible_is_made(
    before: evaluations.Scored, after: evaluations.Scored, test: significance.Test
) -> None:
    found = judged(before, after)
    assert found.outcome is not None
    assert found.outcome.test is test
    assert found.delta == after.metric.value - before.metric.value


def test_scores_of_other_examples_are_not_paired() -> None:
    kept = {"sample_count": 3, "standard_error": 0.5}
    before = figure(2, (1, 2, 3), examples="sha256:" + "a" * 64, **kept)
    after = figure(3, (2, 3, 4), examples="sha256:" + "b" * 64, **kept)
    outcome = judged(before, after).outcome
    assert outcome is not None
    assert outcome.test is T.WELCH_T


def test_without_errors_no_test_is_possible() -> None:
    found = judged(figure(0.8), figure(0.9, standard_error=0.01))
    assert (found.verdict, found.outcome) == (V.UNTESTED, None)
    assert found.reason == "the baseline states no error and no interval"
    exact = judged(figure(1, standard_error=0), figure(2, standard_error=0))
    assert (exact.verdict, exact.reason) == (V.UNTESTED, "neither figure has any spread")


def test_other_directions_and_units_do_not_compare() -> None:
    other = judged(figure(1), figure(1, direction=D.LOWER))
    assert (other.verdict, other.reason) == (
        V.NOT_COMPARABLE,
        "direction is 'lower', the baseline's 'higher'",
    )
    assert judged(figure(1, unit="ms"), figure(1, unit="s")).verdict is V.NOT_COMPARABLE


def test_the_p_values_of_slices_are_adjusted_and_that_of_all_examples_is_not() -> None:
    # p = 0.03 by itself: z = 2.17. Of four such slices none is real after Holm's adjustment.
    pair = [(0.0, 2.17 * 2**0.5)] * 5
    before = run(
        *(figure(a, slice=f"s{n}" * bool(n), standard_error=1) for n, (a, _) in enumerate(pair))
    )
    after = run(
        *(figure(b, slice=f"s{n}" * bool(n), standard_error=1) for n, (_, b) in enumerate(pair))
    )
    lines, tested = comparison.compare_suite("s", before, [after], LEVEL)
    assert tested == 4
    assert [line.candidates[0].verdict for line in lines] == [V.BETTER] + [V.SAME] * 4
    assert lines[0].candidates[0].adjusted_p_value == pytest.approx(0.03, abs=1e-3)
    assert lines[1].candidates[0].adjusted_p_value == pytest.approx(0.12, abs=4e-3)


def test_what_one_side_lacks_is_told() -> None:
    lines, _ = comparison.compare_suite(
        "s",
        run(figure(1), figure(1, slice="lang=de")),
        [run(figure(1), figure(1, name="cost"))],
        LEVEL,
    )
    reasons = {(line.name, line.slice): line.candidates[0].reason for line in lines}
    assert reasons["score", "lang=de"] == "the evaluation has no slice 'lang=de' of 'score'"
    assert reasons["cost", ""] == "the baseline has no such figure"


def test_only_what_was_measured_the_same_way_matches() -> None:
    baseline = evaluation(digest="sha256:" + "a" * 64)
    assert (
        matching.match([], baseline)[1] == "no evaluation on satisfaction by suite 'satisfaction'"
    )
    for fields, reason in (
        ({"suite": "x"}, "no evaluation on satisfaction by suite 'satisfaction'; it has x"),
        ({"revision": "2026-09"}, "dataset revision is 2026-09, the baseline's 2026-10"),
        ({"evaluator": "judge@2"}, "evaluator is judge@2, the baseline's judge@1.4"),
        ({"digest": "sha256:" + "b" * 64}, "digest of the dataset differs, though the revision"),
    ):
        found, why = matching.match([evaluation(**fields)], baseline)
        assert found is None
        assert why.startswith(reason)
    later = evaluation(run_at=NOON + datetime.timedelta(days=1))
    assert matching.match([evaluation(), later], baseline) == (later, "")
    assert matching.baseline_of([evaluation(), later], "satisfaction", "2026-09") is None


finite = st.floats(-1e6, 1e6)
errors_of = st.floats(1e-6, 1e6)
counts = st.integers(2, 10**6)


@st.composite
def figures(draw: st.DrawFn, direction: evaluations.Direction) -> evaluations.Scored:
    if draw(st.booleans()):
        share, count = draw(st.floats(0, 1)), draw(st.integers(1, 5000))
        return figure(share, direction=direction, is_proportion=True, sample_count=count)
    stated = {"standard_error": draw(errors_of), "sample_count": draw(st.none() | counts)}
    return figure(draw(finite), direction=direction, **stated)


pairs = st.sampled_from(list(D)).flatmap(lambda way: st.tuples(figures(way), figures(way)))
OPPOSITE = {V.BETTER: V.WORSE, V.WORSE: V.BETTER}


@hypothesis.given(pairs)
def test_swapping_the_baseline_turns_better_into_worse(
    pair: tuple[evaluations.Scored, evaluations.Scored],
) -> None:
    there, back = judged(*pair), judged(*reversed(pair))
    assert back.verdict is OPPOSITE.get(there.verdict, there.verdict)
    assert there.delta == -(back.delta or 0)


@hypothesis.given(pairs)
def test_what_is_equal_is_not_really_different(
    pair: tuple[evaluations.Scored, evaluations.Scored],
) -> None:
    assert judged(pair[0], pair[0]).verdict in {V.SAME, V.UNTESTED}


@hypothesis.given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.integers(200, 10**5))
def test_more_examples_never_make_the_same_difference_less_certain(
    first: float, second: float, count: int
) -> None:
    few = significance.two_proportions(first, count, second, count).p_value
    many = significance.two_proportions(first, 2 * count, second, 2 * count).p_value
    assert many <= few + 1e-12


@hypothesis.given(finite, finite, errors_of, st.integers(2, 1000))
def test_more_degrees_of_freedom_never_make_a_mean_less_certain(
    first: float, second: float, error: float, count: int
) -> None:
    few = significance.welch(second - first, (error, error), (count, count)).p_value
    many = significance.welch(second - first, (error, error), (2 * count, 2 * count)).p_value
    assert many <= few + 1e-12


@hypothesis.given(
    st.dictionaries(st.text("abc", min_size=1), finite, min_size=2, max_size=30), st.randoms()
)
def test_the_order_of_scores_does_not_matter(by_example: dict[str, float], chance: Any) -> None:
    def summed(entries: list[tuple[str, float]]) -> evaluations.Scored:
        ids, values = zip(*entries, strict=True)
        return scores.summarised([scores.ScoreSet("m", D.HIGHER, ids, values)])[0]

    entries = list(by_example.items())
    first = summed(entries)
    chance.shuffle(entries)
    assert summed(entries) == first


def test_an_example_has_one_score_whatever_its_slices() -> None:
    sets = [
        scores.ScoreSet("m", D.HIGHER, ("a", "b"), (1.0, 2.0), "lang=de"),
        scores.ScoreSet("m", D.HIGHER, ("a", "c"), (1.0, 6.0), "long"),
    ]
    whole = scores.summarised(sets)[0].metric
    assert (whole.slice, whole.value, whole.sample_count) == ("", 3.0, 3)
    twice = scores.ScoreSet("m", D.HIGHER, ("a",), (5.0,), "short")
    with pytest.raises(errors.InvalidArgument, match="two scores"):
        scores.summarised([*sets, twice])


@pytest.mark.parametrize(
    ("text", "named"),
    [("a@1", ("a", "1")), ("a", ("a", "")), ("a@b@1", ("a@b", "1"))],
)
def test_a_dataset_is_named_with_or_without_its_revision(text: str, named: tuple[str, str]) -> None:
    assert evaluations.dataset_of(text) == named


@pytest.mark.parametrize("text", ["", "@1", "a@", "a" * 300, "\n"])
def test_what_names_no_dataset_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        evaluations.dataset_of(text)
