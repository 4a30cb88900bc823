"""Evaluations: recorded once, corrected by others, refused by field, found by search."""

import asyncio
import datetime
from typing import Any

import asyncpg
import grpc
import pytest
from support import wire

from modelkeep.v1 import evaluation_service_pb2 as pb
from modelkeep.v1 import event_service_pb2 as event_pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

HIGHER, LOWER = pb.METRIC_DIRECTION_HIGHER, pb.METRIC_DIRECTION_LOWER
DATASET = pb.EvaluationDataset(name="satisfaction", revision="2026-10")
NAN, INFINITY = float("nan"), float("inf")


def metric(name: str = "score", value: float = 0.83, **fields: Any) -> pb.EvaluationMetric:
    return pb.EvaluationMetric(name=name, value=value, **({"direction": HIGHER} | fields))


def evaluation(*metrics: pb.EvaluationMetric, **fields: Any) -> pb.Evaluation:
    stated = {"dataset": DATASET, "suite": "satisfaction", "evaluator": "judge@1.4"} | fields
    return pb.Evaluation(metrics=metrics, **stated)


async def record(
    stubs: wire.Stubs, parent: str, *metrics: pb.EvaluationMetric, **fields: Any
) -> pb.Evaluation:
    outer = {
        key: fields.pop(key)
        for key in ("supersedes", "request_id", "score_sets", "unless_recorded")
        if key in fields
    }
    request = pb.RecordEvaluationRequest(
        parent=parent, evaluation=evaluation(*metrics, **fields), **outer
    )
    return (await stubs.evaluations.RecordEvaluation(request)).evaluation


async def found(stubs: wire.Stubs, model: str, query: str) -> list[str]:
    request = registry_pb.SearchVersionsRequest(parent=model, filter=query)
    answer = await stubs.registry.SearchVersions(request)
    return [version.version for version in answer.versions]


def where(name: str, condition: str, part: str = "") -> str:
    of = f', "{part}"' if part else ""
    return f'metric("{name}", "satisfaction@2026-10"{of}) {condition}'


async def test_what_was_recorded_is_read_again(stubs: wire.Stubs) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    run_at = datetime.datetime(2026, 10, 3, 12, 0, tzinfo=datetime.UTC)
    digest = "sha256:" + "ab" * 32
    wanted = [
        metric(sample_count=400, standard_error=0.019),
        metric(slice="lang=de", value=0.8, sample_count=90, ci_low=0.7, ci_high=0.9, ci_level=0.9),
        metric("latency", 812.5, direction=LOWER, unit="ms"),
        metric("solved", 0.25, proportion=True, sample_count=400),
    ]
    dataset = pb.EvaluationDataset(name="satisfaction", revision="2026-10", digest=digest)
    recorded = await record(stubs, version, *wanted, dataset=dataset, run_time=run_at, note="n")
    assert recorded.name.startswith(f"{version}/evaluations/")
    assert recorded.actor
    read = (
        await stubs.evaluations.GetEvaluation(pb.GetEvaluationRequest(name=recorded.name))
    ).evaluation
    assert read == recorded
    assert read.run_time.ToDatetime(tzinfo=datetime.UTC) == run_at
    assert (read.dataset, read.note, read.metric_count) == (dataset, "n", 4)
    wanted[0].ci_level = 0
    assert list(read.metrics) == wanted


async def test_a_list_has_the_last_recorded_first_and_no_slices(stubs: wire.Stubs) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    first = await record(stubs, version, metric(), metric(slice="lang=de"))
    second = await record(stubs, version, metric(), suite="other")
    third = await record(stubs, version, metric(), supersedes=first.name)

    async def names(**fields: Any) -> list[str]:
        request = pb.ListEvaluationsRequest(parent=version, **fields)
        answer = await stubs.evaluations.ListEvaluations(request)
        assert all(not m.slice for one in answer.evaluations for m in one.metrics)
        return [one.name for one in answer.evaluations]

    assert await names() == [third.name, second.name]
    assert await names(show_superseded=True) == [third.name, second.name, first.name]
    assert await names(suite="other") == [second.name]
    assert await names(dataset="satisfaction") == [third.name, second.name]
    assert await names(dataset="satisfaction@2026-11") == []
    page = await stubs.evaluations.ListEvaluations(
        pb.ListEvaluationsRequest(parent=version, page_size=1)
    )
    rest = await stubs.evaluations.ListEvaluations(
        pb.ListEvaluationsRequest(parent=version, page_size=1, page_token=page.next_page_token)
    )
    assert [page.evaluations[0].name, rest.evaluations[0].name] == [third.name, second.name]


async def test_a_correction_supersedes_and_only_it_is_found(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = (await stubs.ready(model)).name
    wrong = await record(stubs, version, metric(value=0.99), metric(slice="lang=de", value=0.5))
    assert await found(stubs, model, where("score", "> 0.9")) == ["1.0.0"]
    right = await record(stubs, version, metric(value=0.83), supersedes=wrong.name)
    assert right.supersedes == wrong.name
    old = await stubs.evaluations.GetEvaluation(pb.GetEvaluationRequest(name=wrong.name))
    assert old.evaluation.superseded_by == right.name
    assert old.evaluation.metrics[0].value == 0.99
    assert await found(stubs, model, where("score", "> 0.9")) == []
    assert await found(stubs, model, where("score", "= 0.83")) == ["1.0.0"]
    assert await found(stubs, model, where("score", "> 0", "lang=de")) == []
    again = await wire.failing(record(stubs, version, metric(), supersedes=wrong.name))
    assert (again.reason, again.metadata["superseded_by"]) == ("EVALUATION_SUPERSEDED", right.name)


async def test_search_finds_the_last_run_whatever_was_recorded_last(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = (await stubs.ready(model)).name
    now = datetime.datetime.now(datetime.UTC)
    await record(stubs, version, metric(value=0.9), run_time=now)
    await record(stubs, version, metric(value=0.1), run_time=now - datetime.timedelta(days=1))
    assert await found(stubs, model, where("score", "= 0.9")) == ["1.0.0"]
    assert await found(stubs, model, where("score", "= 0.1")) == []


async def test_a_correction_of_the_dataset_moves_what_is_found(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = (await stubs.ready(model)).name
    other = pb.EvaluationDataset(name="satisfaction", revision="2026-09")
    wrong = await record(stubs, version, metric(), dataset=other)
    await record(stubs, version, metric(), supersedes=wrong.name)
    old = where("score", "> 0").replace("2026-10", "2026-09")
    assert await found(stubs, model, old) == []
    assert await found(stubs, model, where("score", "> 0")) == ["1.0.0"]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("evaluation.metrics[0].value", metric(value=NAN)),
        ("evaluation.metrics[0].value", metric(value=INFINITY)),
        ("evaluation.metrics[0].value", metric(value=1.5, proportion=True, sample_count=3)),
        ("evaluation.metrics[0].sample_count", metric(sample_count=-1)),
        ("evaluation.metrics[0].sample_count", metric(value=0.5, proportion=True)),
        ("evaluation.metrics[0].standard_error", metric(standard_error=-0.1)),
        ("evaluation.metrics[0].standard_error", metric(standard_error=NAN)),
        ("evaluation.metrics[0].ci_low", metric(ci_low=0.9, ci_high=0.8)),
        ("evaluation.metrics[0].ci_high", metric(ci_low=0.9)),
        ("evaluation.metrics[0].ci_low", metric(ci_low=-INFINITY, ci_high=0.8)),
        ("evaluation.metrics[0].ci_level", metric(ci_level=1)),
        ("evaluation.metrics[0].direction", metric(direction=0)),
        ("evaluation.metrics[0].name", metric("")),
    ],
)
async def test_a_malformed_metric_is_refused_by_its_field(
    stubs: wire.Stubs, field: str, bad: pb.EvaluationMetric
) -> None:
    version = "namespaces/none/models/none/versions/1.0.0"
    failure = await wire.failing(record(stubs, version, bad))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == [field]


async def test_everything_else_that_is_malformed_is_named_too(stubs: wire.Stubs) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    twice = await wire.failing(record(stubs, version, metric(), metric(value=0.1)))
    assert twice.fields == ["evaluation.metrics[1].name"]
    two_ways = await wire.failing(
        record(stubs, version, metric(), metric(slice="lang=de", direction=LOWER))
    )
    assert two_ways.fields == ["evaluation.metrics[1].direction"]
    empty = await wire.failing(record(stubs, version, dataset=pb.EvaluationDataset(), suite=""))
    assert empty.fields == [
        "evaluation.metrics",
        "evaluation.dataset.name",
        "evaluation.dataset.revision",
        "evaluation.suite",
    ]
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    ahead = await wire.failing(record(stubs, version, metric(), run_time=future))
    assert (ahead.code, ahead.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["evaluation.run_time"],
    )
    skewed = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=2)
    assert (await record(stubs, version, metric(), run_time=skewed)).name


async def test_a_metric_gets_better_one_way_in_all_of_a_model(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    first, second = [(await stubs.ready(model, f"{n}.0.0")).name for n in (1, 2)]
    wrong = await record(stubs, first, metric())
    failure = await wire.failing(record(stubs, second, metric(direction=LOWER)))
    assert failure.fields == ["evaluation.metrics[0].direction"]
    assert await record(stubs, second, metric(direction=LOWER), suite="other")
    right = await record(stubs, first, metric(direction=LOWER), supersedes=wrong.name)
    assert right.supersedes == wrong.name


async def test_of_two_directions_at_once_one_is_refused(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    versions = [(await stubs.ready(model, f"{n}.0.0")).name for n in range(1, 9)]
    answers = await asyncio.gather(
        *(
            record(stubs, version, metric(direction=HIGHER if n % 2 else LOWER))
            for n, version in enumerate(versions)
        ),
        return_exceptions=True,
    )
    directions = {one.metrics[0].direction for one in answers if isinstance(one, pb.Evaluation)}
    assert len(directions) == 1
    assert sum(isinstance(one, grpc.aio.AioRpcError) for one in answers) == 4


async def test_of_corrections_at_once_one_is_taken(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = (await stubs.ready(model)).name
    wrong = await record(stubs, version, metric())
    answers = await asyncio.gather(
        *(record(stubs, version, metric(value=n / 10), supersedes=wrong.name) for n in range(8)),
        return_exceptions=True,
    )
    taken = [one for one in answers if isinstance(one, pb.Evaluation)]
    assert len(taken) == 1
    value = taken[0].metrics[0].value
    assert await found(stubs, model, where("score", f"= {value}")) == ["1.0.0"]


async def test_only_sealed_versions_that_are_there_are_evaluated(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    draft = await stubs.draft(model)
    assert (await wire.failing(record(stubs, draft.name, metric()))).reason == "VERSION_NOT_SEALED"
    gone = (await stubs.ready(model, "2.0.0")).name
    await stubs.registry.DeleteVersion(registry_pb.DeleteVersionRequest(name=gone))
    assert (await wire.failing(record(stubs, gone, metric()))).reason == "VERSION_NOT_SEALED"
    nowhere = await wire.failing(record(stubs, f"{model}/versions/3.0.0", metric()))
    assert nowhere.code is grpc.StatusCode.NOT_FOUND
    version = (await stubs.ready(model, "4.0.0")).name
    unknown = f"{version}/evaluations/{'0' * 16}"
    missing = await wire.failing(record(stubs, version, metric(), supersedes=unknown))
    assert missing.code is grpc.StatusCode.NOT_FOUND
    other = await wire.failing(
        record(stubs, version, metric(), supersedes=unknown.replace("4.0.0", "2.0.0"))
    )
    assert other.fields == ["supersedes"]


async def test_a_retry_records_once(stubs: wire.Stubs) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    run_at = datetime.datetime(2026, 10, 3, tzinfo=datetime.UTC)
    first = await record(stubs, version, metric(), request_id="r", run_time=run_at)
    again = await record(stubs, version, metric(), request_id="r", run_time=run_at)
    assert again == first
    listed = await stubs.evaluations.ListEvaluations(pb.ListEvaluationsRequest(parent=version))
    assert len(listed.evaluations) == 1


def scored(*values: float) -> list[pb.ScoreSet]:
    return [pb.ScoreSet(metric="exact", direction=HIGHER, example_ids=["a", "b"], values=values)]


async def test_what_is_recorded_already_is_answered_if_one_asks_for_that(
    stubs: wire.Stubs,
) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    said = {"run_time": datetime.datetime(2026, 10, 3, tzinfo=datetime.UTC), "note": "n"}
    said |= {"score_sets": scored(1, 0.5)}
    once = {"unless_recorded": True}
    first = await record(stubs, version, metric(), **said, **once)
    assert await record(stubs, version, metric(), **said, **once) == first
    correction = await record(stubs, version, metric(), **said, **once, supersedes=first.name)
    again = await record(stubs, version, metric(), **said, **once, supersedes=first.name)
    assert again == correction != first
    superseded = await record(stubs, version, metric(), **said, **once)
    assert (superseded.name, superseded.superseded_by) == (first.name, correction.name)
    others = [
        await record(stubs, version, metric(value=0.82), **said, **once),
        await record(stubs, version, metric(), **said | {"note": ""}, **once),
        await record(stubs, version, metric(), **said | {"score_sets": scored(0.5, 1)}, **once),
        await record(stubs, version, metric(), **said),
    ]
    assert len({one.name for one in [first, correction, *others]}) == 6


async def test_scores_are_summed_up(stubs: wire.Stubs) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    sets = [
        pb.ScoreSet(
            metric="solved",
            direction=HIGHER,
            slice=f"lang={lang}",
            example_ids=[f"{lang}{n}" for n in range(4)],
            values=values,
        )
        for lang, values in (("de", [1, 0, 1, 0]), ("en", [1, 1, 1, 0]))
    ]
    sets.append(
        pb.ScoreSet(
            metric="latency",
            direction=LOWER,
            unit="ms",
            example_ids=["c", "a", "b"],
            values=[3, 1, 2],
        )
    )
    recorded = await record(stubs, version, score_sets=sets)
    solved, de, en, latency = (
        next(m for m in recorded.metrics if (m.name, m.slice) == key)
        for key in (("solved", ""), ("solved", "lang=de"), ("solved", "lang=en"), ("latency", ""))
    )
    assert (solved.value, solved.sample_count, solved.proportion) == (5 / 8, 8, True)
    assert (de.value, en.value) == (0.5, 0.75)
    assert (latency.value, latency.sample_count, latency.proportion) == (2, 3, False)
    assert latency.standard_error == pytest.approx(1 / 3**0.5)
    assert latency.examples_digest.startswith("sha256:")


async def test_malformed_scores_are_refused_by_field(stubs: wire.Stubs) -> None:
    version = (await stubs.ready(await stubs.new_model())).name

    async def fields(**changed: Any) -> list[str]:
        stated = {"metric": "m", "direction": HIGHER, "example_ids": ["a", "b"], "values": [1, 2]}
        sets = [pb.ScoreSet(**(stated | changed))]
        return (await wire.failing(record(stubs, version, score_sets=sets))).fields

    assert await fields(values=[1, NAN]) == ["score_sets[0].values[1]"]
    assert await fields(values=[1]) == ["score_sets[0].values"]
    assert await fields(example_ids=["a", "a"]) == ["score_sets[0].example_ids[1]"]
    assert await fields(metric="") == ["score_sets[0].metric"]
    assert await fields(direction=0) == ["score_sets[0].direction"]
    many = [f"{n}" for n in range(20_001)]
    assert "score_sets[0].example_ids" in await fields(example_ids=many, values=[1] * 20_001)


async def test_a_recording_is_an_event_of_the_evaluation(stubs: wire.Stubs) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    recorded = await record(stubs, version, metric(), note="first run")
    namespace = version.partition("/models/")[0]
    answer = await stubs.events.ListEvents(event_pb.ListEventsRequest(parent=namespace))
    last = answer.events[-1]
    assert (last.action, last.resource) == ("evaluation.recorded", recorded.name)
    history = await stubs.registry.ListHistory(
        registry_pb.ListHistoryRequest(parent=version.partition("/versions/")[0])
    )
    assert history.entries[0].action == "evaluation.recorded"


async def test_the_database_itself_refuses_changes(stubs: wire.Stubs, database_url: str) -> None:
    version = (await stubs.ready(await stubs.new_model())).name
    await record(stubs, version, metric())
    connection = await asyncpg.connect(database_url)
    try:
        for statement in (
            "UPDATE evaluation SET suite = 'x'",
            "UPDATE evaluation_metric SET value = 1",
            "DELETE FROM evaluation_metric",
            "UPDATE evaluation SET superseded_at = now(), note = 'x'",
        ):
            with pytest.raises(asyncpg.RaiseError):
                await connection.execute(statement)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "INSERT INTO evaluation_metric SELECT evaluation_id, 9, 'x', '', 'NaN', 'higher',"
                " '', NULL, NULL, NULL, NULL, 0.95, false, NULL, NULL FROM evaluation"
            )
    finally:
        await connection.close()
