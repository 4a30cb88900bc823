"""Evaluation plans and RecommendVersion: the best that may move, or none, and why."""

from typing import Any

import grpc
import pytest
from support import judging, wire

from modelkeep.v1 import evaluation_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

RECOMMENDED = pb.CANDIDATE_OUTCOME_RECOMMENDED
PASSED_OVER = pb.CANDIDATE_OUTCOME_PASSED_OVER
RULED_OUT = pb.CANDIDATE_OUTCOME_RULED_OUT
NOT_COMPARABLE = pb.CANDIDATE_OUTCOME_NOT_COMPARABLE
GUARD = pb.MetricTolerance(metric="latency", tolerance=0.05, relative=True)


async def staged(stubs: wire.Stubs, count: int, *, production: bool = True) -> list[str]:
    """Versions in staging; the first in production, if that is wanted."""
    model = await stubs.new_model()
    versions = [(await stubs.ready(model, f"1.{n}.0")).name for n in range(count)]
    for version in versions:
        await stubs.stage(version, "staging")
    if production:
        await stubs.stage(versions[0], "production")
    return versions


def model_of(version: str) -> str:
    return version.partition("/versions/")[0]


async def test_the_best_is_recommended_with_the_figures(stubs: wire.Stubs) -> None:
    old, good, best = await staged(stubs, 3)
    await judging.plan(stubs, model_of(old), GUARD)
    for version, value, ms in ((old, 0.79, 812), (good, 0.84, 800), (best, 0.86, 640)):
        await judging.record(stubs, version, judging.score(value), judging.latency(ms))
    found = await judging.recommend(stubs, model_of(old))
    assert (found.version, found.baseline, found.dataset) == (best, old, judging.DATASET)
    assert found.summary == "Move 1.2.0 to production."
    # By hand: 0.07 / sqrt(2 * 0.01^2) = 4.95 and 798 degrees of freedom, p below 0.0001.
    assert found.reasons[0] == ("score is 0.86, 0.07 better than 0.79 (Welch's t, p < 0.0001).")
    assert found.reasons[1] == (
        "latency is 640 ms, 172 ms better than 812 ms (Welch's t, p < 0.0001)."
    )
    # 0.02 / 0.014142 = 1.41, p = 0.16: chance may have chosen between the two best.
    assert found.reasons[-1] == (
        "Next comes 1.1.0, and chance may have chosen between the two: score is 0.86, 0.02 better "
        "than 0.84 (no real difference, Welch's t, p = 0.16)."
    )
    outcomes = {one.version: one.outcome for one in found.candidates}
    assert outcomes == {best: RECOMMENDED, good: PASSED_OVER}
    assert found.candidates[1].reasons[0] == "It could move, and 1.2.0 has the better figure."


async def test_none_is_an_answer(stubs: wire.Stubs) -> None:
    old, same, worse, slow, unknown = await staged(stubs, 5)
    await judging.plan(stubs, model_of(old), GUARD)
    figures = ((old, 0.80, 800), (same, 0.81, 800), (worse, 0.6, 700), (slow, 0.9, 900))
    for version, value, ms in figures:
        await judging.record(stubs, version, judging.score(value), judging.latency(ms))
    found = await judging.recommend(stubs, model_of(old))
    assert found.version == ""
    assert found.summary == "Move none to production; keep 1.0.0."
    assert list(found.reasons) == [
        "Of 4 considered: 2 not really better than what is there, 1 ruled out, 1 not comparable."
    ]
    by_version = {one.version: one for one in found.candidates}
    assert {name: one.outcome for name, one in by_version.items()} == {
        same: PASSED_OVER,
        worse: PASSED_OVER,
        slow: RULED_OUT,
        unknown: NOT_COMPARABLE,
    }
    assert by_version[slow].reasons[0] == (
        "Its guard does not hold: latency is 900 ms, 100 ms worse than 800 ms "
        "(Welch's t, p < 0.0001); at most 40 ms (5 %) is tolerated."
    )
    assert by_version[same].reasons[0].startswith("It is not really better than 1.0.0: score is")
    assert by_version[unknown].reasons[0] == (
        "Nothing tells how good it is: no evaluation on satisfaction by suite 'satisfaction'."
    )


async def test_what_may_not_move_is_ruled_out(stubs: wire.Stubs) -> None:
    old, staging = await staged(stubs, 2)
    developed = (await stubs.ready(model_of(old), "2.0.0")).name
    await judging.plan(stubs, model_of(old))
    for version, value in ((old, 0.8), (staging, 0.85), (developed, 0.99)):
        await judging.record(stubs, version, judging.score(value))
    found = await judging.recommend(stubs, model_of(old), old, staging, developed)
    assert found.version == staging
    reasons = {one.version: one.reasons[0] for one in found.candidates[1:]}
    assert reasons == {
        developed: "It is in development, from where no move leads to production.",
        old: "It is in production already.",
    }
    by_itself = await judging.recommend(stubs, model_of(old))
    assert [one.version for one in by_itself.candidates] == [staging]


async def test_without_a_baseline_the_best_figure_decides(stubs: wire.Stubs) -> None:
    first, second, other = await staged(stubs, 3, production=False)
    await judging.plan(stubs, model_of(first))
    await judging.record(stubs, first, judging.score(0.9))
    await judging.record(stubs, second, judging.score(0.8))
    await judging.record(stubs, other, judging.score(0.99), evaluator="judge@9")
    found = await judging.recommend(stubs, model_of(first))
    # The newest that was measured is the measure: by another judge, the others do not compare.
    assert found.version == other
    assert {one.outcome for one in found.candidates[1:]} == {NOT_COMPARABLE}
    named = await judging.recommend(stubs, model_of(first), first, second)
    assert (named.version, named.baseline) == (first, "")
    assert named.reasons[0] == "score is 0.9, and nothing is in production yet."


async def test_a_baseline_that_was_not_measured_leaves_nothing_to_compare(
    stubs: wire.Stubs,
) -> None:
    old, new = await staged(stubs, 2)
    await judging.plan(stubs, model_of(old))
    await judging.record(stubs, new, judging.score(0.9))
    found = await judging.recommend(stubs, model_of(old))
    assert (found.version, found.dataset) == ("", "")
    assert found.candidates[0].reasons[0] == (
        "Nothing tells how good it is: no evaluation on satisfaction to hold it against."
    )
    empty = await judging.recommend(stubs, model_of(old), stage="staging")
    assert empty.version == ""


async def test_the_dataset_can_be_another(stubs: wire.Stubs) -> None:
    old, new = await staged(stubs, 2)
    await judging.plan(stubs, model_of(old))
    for version, value in ((old, 0.7), (new, 0.9)):
        await judging.record(stubs, version, judging.score(0.8))
        await judging.record(stubs, version, judging.score(value), dataset="news@1")
    assert (await judging.recommend(stubs, model_of(old))).version == ""
    found = await judging.recommend(stubs, model_of(old), dataset="news@1")
    assert (found.version, found.plan.dataset) == (new, "news@1")


async def test_a_plan_is_set_read_and_guarded_by_its_etag(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    first = await judging.plan(stubs, model, GUARD)
    name = f"{model}/evaluationPlan"
    got = await stubs.evaluations.GetEvaluationPlan(pb.GetEvaluationPlanRequest(name=name))
    assert got.plan == first
    assert (got.plan.dataset, got.plan.guards[0].metric) == ("satisfaction", "latency")
    second = await judging.plan(stubs, model, etag=first.etag, dataset="satisfaction@7")
    assert (second.dataset, len(second.guards)) == ("satisfaction@7", 0)
    with pytest.raises(grpc.aio.AioRpcError) as stale:
        await judging.plan(stubs, model, etag=first.etag)
    assert wire.failure_of(stale.value).reason == "STALE_ETAG"


async def test_without_a_plan_it_is_said_what_to_do(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    request = pb.RecommendVersionRequest(parent=model, stage="production")
    failure = await wire.failing(stubs.evaluations.RecommendVersion(request))
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_EVALUATION_PLAN",
    )
    name = pb.GetEvaluationPlanRequest(name=f"{model}/evaluationPlan")
    missing = await wire.failing(stubs.evaluations.GetEvaluationPlan(name))
    assert missing.code is grpc.StatusCode.NOT_FOUND


async def test_a_malformed_plan_is_refused_by_field(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()

    async def fields(*guards: pb.MetricTolerance, **stated: Any) -> list[str]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await judging.plan(stubs, model, *guards, **stated)
        failure = wire.failure_of(refused.value)
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        return failure.fields

    assert await fields(metric="") == ["plan.metric"]
    assert await fields(direction=0) == ["plan.direction"]
    assert await fields(dataset="@") == ["plan.dataset"]
    assert await fields(GUARD, GUARD) == ["plan.guards[1].metric"]
    for wrong in (float("nan"), float("inf"), -0.1):
        guard = pb.MetricTolerance(metric="latency", tolerance=wrong)
        assert await fields(guard) == ["plan.guards[0].tolerance"]
    own = pb.MetricTolerance(metric="score")
    assert await fields(own) == ["plan.guards[0].metric"]
    assert await fields(pb.MetricTolerance(metric="a", slice="*")) == ["plan.guards[0].slice"]
    many = [pb.MetricTolerance(metric=f"m{n}") for n in range(65)]
    assert await fields(*many) == ["plan.guards"]


async def test_a_malformed_question_is_refused_by_field(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()

    async def fields(**stated: Any) -> list[str]:
        request = pb.RecommendVersionRequest(**({"parent": model, "stage": "production"} | stated))
        failure = await wire.failing(stubs.evaluations.RecommendVersion(request))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        return failure.fields

    assert await fields(stage="archived") == ["stage"]
    assert await fields(candidates=["a/b@1.0.0"]) == ["candidates[0]"]
    assert await fields(candidates=[judging.ref(model)] * 17) == ["candidates"]
    assert await fields(significance=0.9) == ["significance"]
    assert await fields(dataset="@", parent="?") == ["parent", "dataset"]


async def test_the_change_of_a_plan_is_audited(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    await judging.plan(stubs, model, GUARD)
    history = await stubs.registry.ListHistory(registry_pb.ListHistoryRequest(parent=model))
    assert "evaluation_plan.set" in [entry.action for entry in history.entries]
