"""CompareVersions: what is measured the same way is compared, and the rest is named."""

import datetime
from typing import Any

import grpc
import pytest
from support import wire

from modelkeep.v1 import evaluation_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

HIGHER, LOWER = pb.METRIC_DIRECTION_HIGHER, pb.METRIC_DIRECTION_LOWER
BETTER, WORSE = pb.COMPARISON_VERDICT_BETTER, pb.COMPARISON_VERDICT_WORSE
SAME = pb.COMPARISON_VERDICT_SAME
RECENT = "satisfaction@2026-10"


def metric(value: float, name: str = "score", **fields: Any) -> pb.EvaluationMetric:
    stated = {"direction": HIGHER, "sample_count": 400, "standard_error": 0.01} | fields
    return pb.EvaluationMetric(name=name, value=value, **stated)


async def record(
    stubs: wire.Stubs, parent: str, *metrics: pb.EvaluationMetric, **fields: Any
) -> pb.Evaluation:
    name, _, revision = fields.pop("dataset", RECENT).partition("@")
    sets = fields.pop("score_sets", ())
    supersedes = fields.pop("supersedes", "")
    stated = {"suite": "satisfaction", "evaluator": "judge@1.4"} | fields
    dataset = pb.EvaluationDataset(name=name, revision=revision)
    request = pb.RecordEvaluationRequest(
        parent=parent,
        evaluation=pb.Evaluation(metrics=metrics, dataset=dataset, **stated),
        score_sets=sets,
        supersedes=supersedes,
    )
    return (await stubs.evaluations.RecordEvaluation(request)).evaluation


async def versions_of(stubs: wire.Stubs, count: int) -> list[str]:
    model = await stubs.new_model()
    return [(await stubs.ready(model, f"1.{n}.0")).name for n in range(count)]


def ref(name: str) -> str:
    _, namespace, _, model, _, version = name.split("/")
    return f"{namespace}/{model}@{version}"


async def compare(
    stubs: wire.Stubs, names: list[str], dataset: str = RECENT, **fields: Any
) -> pb.Comparison:
    request = pb.CompareVersionsRequest(refs=map(ref, names), dataset=dataset, **fields)
    return (await stubs.evaluations.CompareVersions(request)).comparison


async def test_figures_are_compared_each_in_its_direction(stubs: wire.Stubs) -> None:
    first, second = await versions_of(stubs, 2)
    latency = {"name": "latency", "direction": LOWER, "unit": "ms", "standard_error": 5}
    await record(stubs, first, metric(0.83), metric(800, **latency))
    await record(stubs, second, metric(0.88), metric(900, **latency))
    found = await compare(stubs, [first, second])
    assert (found.baseline, list(found.versions)) == (first, [second])
    by_name = {line.name: line.candidates[0] for line in found.metrics}
    assert by_name["score"].verdict == BETTER
    assert by_name["score"].test == pb.SIGNIFICANCE_TEST_WELCH_T
    # By hand: 0.05 / sqrt(2 * 0.01^2) = 3.5355, 798 degrees of freedom, p = 0.00043.
    assert by_name["score"].statistic == pytest.approx(3.5355, abs=1e-4)
    assert by_name["score"].degrees_of_freedom == pytest.approx(798)
    assert by_name["score"].p_value == pytest.approx(0.00043, abs=5e-6)
    assert (by_name["latency"].verdict, by_name["latency"].delta) == (WORSE, 100)
    assert len(found.evaluations) == 2


async def test_the_same_examples_are_compared_one_by_one(stubs: wire.Stubs) -> None:
    first, second = await versions_of(stubs, 2)
    for version, gained in ((first, 0), (second, 8)):
        values = [1.0 if n % 2 or n < 2 * gained else 0.0 for n in range(100)]
        sets = pb.ScoreSet(
            metric="solved",
            direction=HIGHER,
            example_ids=[f"e{n}" for n in range(100)],
            values=values,
        )
        await record(stubs, version, score_sets=[sets])
    candidate = (await compare(stubs, [first, second])).metrics[0].candidates[0]
    # Eight of eight examples that changed got better: 2 / 2^8 = 0.0078; unpaired, p = 0.26.
    assert (candidate.test, candidate.verdict) == (pb.SIGNIFICANCE_TEST_MCNEMAR_EXACT, BETTER)
    assert candidate.p_value == pytest.approx(2 / 2**8)


async def test_slices_are_adjusted_and_told_apart(stubs: wire.Stubs) -> None:
    first, second = await versions_of(stubs, 2)
    parts = [f"lang={lang}" for lang in ("de", "en", "fr")]
    await record(stubs, first, metric(0.8), *(metric(0.8, slice=part) for part in parts))
    changes = zip((0.7, 0.83, 0.8), parts, strict=True)
    await record(stubs, second, metric(0.8), *(metric(v, slice=part) for v, part in changes))
    found = await compare(stubs, [first, second])
    assert found.slices_tested == 3
    verdicts = {line.slice: line.candidates[0].verdict for line in found.metrics}
    assert verdicts == {"": SAME, "lang=de": WORSE, "lang=en": SAME, "lang=fr": SAME}
    german, english = (line.candidates[0] for line in found.metrics[1:3])
    assert german.adjusted_p_value == pytest.approx(3 * german.p_value)
    assert english.p_value < 0.05 < english.adjusted_p_value


async def test_what_was_measured_otherwise_is_not_compared(stubs: wire.Stubs) -> None:
    first, older, judge, other, none = await versions_of(stubs, 5)
    await record(stubs, first, metric(0.8))
    await record(stubs, older, metric(0.9), dataset="satisfaction@2026-09")
    await record(stubs, judge, metric(0.9), evaluator="judge@2.0")
    await record(stubs, other, metric(0.9), suite="safety")
    found = await compare(stubs, [first, older, judge, other, none], "satisfaction")
    reasons = {one.version: one.reason for one in found.unmatched}
    assert reasons == {
        older: "dataset revision is 2026-09, the baseline's 2026-10",
        judge: "evaluator is judge@2.0, the baseline's judge@1.4",
        other: "no evaluation on satisfaction by suite 'satisfaction'; it has safety",
        none: "no evaluation on satisfaction by suite 'satisfaction'",
    }
    assert [list(line.candidates) for line in found.metrics] == [[]]
    nothing = await compare(stubs, [none, first])
    assert nothing.unmatched[0].reason == f"no evaluation on {RECENT}"
    wrong = await compare(stubs, [older, first])
    expected = f"no evaluation on {RECENT}; it has satisfaction@2026-09 by satisfaction"
    assert wrong.unmatched[0].reason == expected


async def test_the_last_run_counts_unless_it_is_superseded(stubs: wire.Stubs) -> None:
    first, second = await versions_of(stubs, 2)
    await record(stubs, first, metric(0.8))
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    await record(stubs, second, metric(0.1), run_time=yesterday)
    wrong = await record(stubs, second, metric(0.99))
    right = await record(stubs, second, metric(0.9), supersedes=wrong.name)
    found = await compare(stubs, [first, second])
    assert [one.name for one in found.evaluations][1:] == [right.name]
    assert found.metrics[0].candidates[0].figure.value == 0.9


async def test_a_baseline_may_be_any_reference(stubs: wire.Stubs) -> None:
    first, second = await versions_of(stubs, 2)
    await record(stubs, first, metric(0.8))
    await record(stubs, second, metric(0.9))
    await stubs.stage(first, "staging", "production")
    production = ref(first).partition("@")[0] + "@production"
    found = await compare(stubs, [second], baseline_ref=production)
    assert (found.baseline, list(found.versions)) == (first, [second])
    assert found.metrics[0].candidates[0].verdict == BETTER
    strict = await compare(stubs, [second], baseline_ref=production, significance=1e-30)
    assert strict.metrics[0].candidates[0].verdict == SAME


async def test_a_model_that_was_renamed_is_found_by_its_old_name(stubs: wire.Stubs) -> None:
    first, second = await versions_of(stubs, 2)
    for version in (first, second):
        await record(stubs, version, metric(0.8))
    model = first.partition("/versions/")[0]
    await stubs.registry.MoveModel(
        registry_pb.MoveModelRequest(name=model, destination=model[:-1] + "new")
    )
    found = await compare(stubs, [first, second])
    assert found.baseline == first.replace("/models/m/", "/models/new/")
    kept = await record(stubs, first, metric(0.7))
    again = await record(stubs, first, metric(0.6), supersedes=kept.name.replace("/new/", "/m/"))
    assert again.supersedes == kept.name


async def test_a_malformed_question_is_refused_by_field(stubs: wire.Stubs) -> None:
    async def fields(**changed: Any) -> list[str]:
        stated = {"refs": ["a/b@1.0.0", "a/b@2.0.0"], "dataset": "d@1"} | changed
        call = stubs.evaluations.CompareVersions(pb.CompareVersionsRequest(**stated))
        failure = await wire.failing(call)
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        return failure.fields

    assert await fields(refs=["a/b@1.0.0"]) == ["refs"]
    assert await fields(refs=["a/b"] * 17) == ["refs"]
    assert await fields(refs=["a/b", "?"]) == ["refs[1]"]
    assert await fields(dataset="@") == ["dataset"]
    assert await fields(baseline_ref="?", dataset="") == ["baseline_ref", "dataset"]
    assert await fields(significance=0.5) == ["significance"]
    assert await fields(significance=float("nan")) == ["significance"]
