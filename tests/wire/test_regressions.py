"""CheckRegression: figure by figure, within what is tolerated, and what does not compare."""

from typing import Any

import grpc
import pytest
from support import judging, wire

from modelkeep.v1 import evaluation_service_pb2 as pb

HELD, REGRESSED = pb.REGRESSION_OUTCOME_HELD, pb.REGRESSION_OUTCOME_REGRESSED
NOT_COMPARABLE, NEW = pb.REGRESSION_OUTCOME_NOT_COMPARABLE, pb.REGRESSION_OUTCOME_NEW
GERMAN = "lang=de"


async def measured(stubs: wire.Stubs, *metrics: pb.EvaluationMetric) -> tuple[str, str]:
    """A version in production with these figures, and another in development."""
    model = await stubs.new_model()
    old, new = [(await stubs.ready(model, f"1.{n}.0")).name for n in range(2)]
    await stubs.stage(old, "staging", "production")
    await judging.record(stubs, old, *metrics)
    return old, new


def production(version: str) -> str:
    return judging.ref(version).partition("@")[0] + "@production"


async def test_recorded_results_are_held_against_production(stubs: wire.Stubs) -> None:
    old, new = await measured(
        stubs, judging.score(0.80), judging.score(0.80, slice=GERMAN), judging.latency(800)
    )
    await judging.record(
        stubs, new, judging.score(0.85), judging.score(0.70, slice=GERMAN), judging.latency(800)
    )
    report = await judging.regress(stubs, judging.ref(new), production(new))
    assert (report.passed, report.baseline) == (False, old)
    found = [(one.metric, one.slice, one.outcome, one.failed) for one in report.checks]
    assert found == [
        ("score", GERMAN, REGRESSED, True),
        ("latency", "", HELD, False),
        ("score", "", HELD, False),
    ]
    # By hand: 0.10 / sqrt(2 * 0.01^2) = 7.07, p below 0.0001.
    assert report.checks[0].sentence == (
        "score of lang=de is 0.7, 0.1 worse than 0.8 (Welch's t, p < 0.0001)"
    )
    assert report.checks[0].candidate.version == judging.ref(new)
    assert report.summary == (
        f"{judging.ref(new)} fails against 1.0.0: 1 figure worse than tolerated."
    )
    allowed = pb.MetricTolerance(metric="score", slice="*", tolerance=0.1)
    lenient = await judging.regress(stubs, judging.ref(new), production(new), tolerances=[allowed])
    assert lenient.passed
    assert "up to 0.1 is tolerated" in lenient.checks[2].sentence


async def test_chance_is_excused_unless_that_is_strict(stubs: wire.Stubs) -> None:
    old, new = await measured(stubs, judging.score(0.80))
    await judging.record(stubs, new, judging.score(0.79))
    report = await judging.regress(stubs, judging.ref(new), production(new))
    # 0.01 / 0.01414 = 0.707, p = 0.48.
    assert report.passed
    assert report.checks[0].sentence == (
        "score is 0.79, 0.01 worse than 0.8 (no real difference, Welch's t, p = 0.48)"
    )
    strict = await judging.regress(stubs, judging.ref(new), production(new), strict=True)
    assert [one.outcome for one in strict.checks] == [REGRESSED]
    exact = pb.MetricTolerance(metric="score", tolerance=0.01)
    at_the_edge = await judging.regress(
        stubs, judging.ref(new), production(new), strict=True, tolerances=[exact]
    )
    assert at_the_edge.passed
    assert judging.ref(old) != judging.ref(new)


async def test_figures_without_errors_are_taken_as_they_are(stubs: wire.Stubs) -> None:
    bare = {"standard_error": None, "sample_count": None}
    _, new = await measured(stubs, judging.latency(800, **bare))
    await judging.record(stubs, new, judging.latency(801, **bare))
    report = await judging.regress(stubs, judging.ref(new), production(new))
    assert not report.passed
    assert "no test possible: neither states an error" in report.checks[0].sentence


async def test_results_need_not_be_recorded_nor_the_version_be_there(stubs: wire.Stubs) -> None:
    old, _ = await measured(stubs, judging.score(0.80), judging.latency(800))
    model = judging.ref(old).partition("@")[0]
    for tested in (model, f"{model}@9.0.0"):
        report = await judging.regress(
            stubs,
            tested,
            production(old),
            evaluation=judging.results(judging.score(0.7), judging.score(1, name="extra")),
        )
        assert (report.ref, report.dataset) == (tested, judging.DATASET)
        assert {one.metric: one.outcome for one in report.checks} == {
            "latency": NOT_COMPARABLE,
            "score": REGRESSED,
            "extra": NEW,
        }
        missing = report.checks[0]
        assert missing.sentence == ("latency is not comparable: the evaluation has no 'latency'")
    held = await judging.regress(
        stubs,
        model,
        production(old),
        evaluation=judging.results(judging.score(0.8)),
        allow_missing=True,
    )
    assert held.passed
    listed = await stubs.evaluations.ListEvaluations(pb.ListEvaluationsRequest(parent=old))
    assert len(listed.evaluations) == 1  # nothing was recorded


async def test_scores_that_come_along_are_compared_example_by_example(stubs: wire.Stubs) -> None:
    def scores(lost: int) -> pb.ScoreSet:
        return pb.ScoreSet(
            metric="solved",
            direction=judging.HIGHER,
            example_ids=[f"e{n}" for n in range(100)],
            values=[1.0 if n % 2 and n >= 2 * lost else 0.0 for n in range(100)],
        )

    model = await stubs.new_model()
    old = (await stubs.ready(model)).name
    recorded = pb.RecordEvaluationRequest(
        parent=old, evaluation=judging.results(), score_sets=[scores(0)]
    )
    await stubs.evaluations.RecordEvaluation(recorded)
    report = await judging.regress(
        stubs,
        judging.ref(model),
        judging.ref(old),
        evaluation=judging.results(),
        score_sets=[scores(8)],
    )
    check = report.checks[0]
    # Eight of eight examples that changed got worse: 2 / 2^8 = 0.0078.
    assert check.outcome == REGRESSED
    assert check.candidate.p_value == pytest.approx(2 / 2**8)
    assert check.candidate.test == pb.SIGNIFICANCE_TEST_MCNEMAR_EXACT


async def test_what_was_measured_otherwise_is_not_comparable(stubs: wire.Stubs) -> None:
    old, new = await measured(stubs, judging.score(0.80))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"dataset": "satisfaction@1"}, "dataset revision is 2026-10, the results' 1"),
        ({"evaluator": "judge@2"}, "evaluator is judge@1.4, the results' judge@2"),
        ({"suite": "safety"}, "no evaluation on satisfaction by suite 'safety'; it has satisf"),
    ]
    for changed, reason in cases:
        evaluation = judging.results(judging.score(0.9), **changed)
        report = await judging.regress(
            stubs, judging.ref(new), production(old), evaluation=evaluation
        )
        assert [one.outcome for one in report.checks] == [NOT_COMPARABLE]
        assert f"not comparable: of the baseline: {reason}" in report.checks[0].sentence
        assert not report.passed
    recorded = await judging.regress(stubs, judging.ref(new), production(old))
    assert recorded.checks[0].sentence == (
        "not comparable: the version has no evaluation on satisfaction by suite 'satisfaction'"
    )
    allowed = await judging.regress(stubs, judging.ref(new), production(old), allow_missing=True)
    assert (allowed.passed, len(allowed.checks)) == (True, 1)
    assert allowed.summary.startswith("Nothing of ")


async def test_nothing_in_production_yet_is_a_reason_not_an_error(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = judging.ref((await stubs.ready(model)).name)
    baseline = production(f"{model}/versions/1.0.0")
    report = await judging.regress(stubs, version, baseline)
    assert (report.passed, report.baseline) == (False, "")
    assert report.checks[0].sentence.endswith("is production")
    request = pb.CheckRegressionRequest(
        ref=version, baseline_ref=version.replace("1.0.0", "7.0.0"), dataset="d@1"
    )
    failure = await wire.failing(stubs.evaluations.CheckRegression(request))
    assert failure.code is grpc.StatusCode.NOT_FOUND


async def test_the_baseline_holds_against_itself(stubs: wire.Stubs) -> None:
    old, _ = await measured(stubs, judging.score(0.80))
    report = await judging.regress(stubs, judging.ref(old), production(old))
    assert (report.passed, report.checks[0].outcome) == (True, HELD)


async def test_a_malformed_question_is_refused_by_field(stubs: wire.Stubs) -> None:
    async def fields(**changed: Any) -> list[str]:
        stated = {"ref": "a/b@1.0.0", "baseline_ref": "a/b@2.0.0", "dataset": "d@1"} | changed
        call = stubs.evaluations.CheckRegression(pb.CheckRegressionRequest(**stated))
        failure = await wire.failing(call)
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT, failure
        return failure.fields

    assert await fields(ref="?", baseline_ref="") == ["ref", "baseline_ref"]
    assert await fields(dataset="") == ["dataset"]
    assert await fields(significance=float("nan")) == ["significance"]
    for wrong in (float("nan"), float("inf"), -1.0, 1e101):
        tolerance = pb.MetricTolerance(metric="m", tolerance=wrong)
        assert await fields(tolerances=[tolerance]) == ["tolerances[0].tolerance"]
    twice = [pb.MetricTolerance(metric="m")] * 2
    assert await fields(tolerances=twice) == ["tolerances[1].metric"]
    results = judging.results(judging.score(0.5))
    assert await fields(evaluation=results) == ["dataset"]
    for wrong in (float("nan"), float("inf")):
        results = judging.results(judging.score(wrong))
        assert await fields(evaluation=results, dataset="") == ["evaluation.metrics[0].value"]
    assert await fields(evaluation=judging.results(), dataset="") == ["evaluation.metrics"]
