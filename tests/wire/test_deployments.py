"""Deployments: what runs where, since when, by whom; never two at once where one may run."""

import asyncio
import datetime
import itertools
from typing import Any

import asyncpg
import grpc
import pytest
from support import deploying, wire

from modelkeep.v1 import deployment_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

HOUR = datetime.timedelta(hours=1)
SECOND = datetime.timedelta(seconds=1)
UNSET, SUCCEEDED = pb.DEPLOYMENT_OUTCOME_UNSPECIFIED, pb.DEPLOYMENT_OUTCOME_SUCCEEDED
SUPERSEDED, FAILED = pb.DEPLOYMENT_OUTCOME_SUPERSEDED, pb.DEPLOYMENT_OUTCOME_FAILED


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def test_what_was_recorded_is_read_again(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    version = await place.ready("1.0.0")
    started = now() - HOUR
    begun = await place.record(
        "1.0.0", target="https://eu.example", labels={"a": "b"}, start_time=started, reason="go"
    )
    assert begun.name.startswith(f"{place.model}/deployments/")
    assert (begun.version, begun.environment) == (version, place.environment)
    assert (begun.outcome, begun.target, begun.reason) == (UNSET, "https://eu.example", "go")
    assert dict(begun.labels) == {"a": "b"}
    assert (begun.deployer, begun.stage) == ("anonymous", "production")
    assert begun.start_time.ToDatetime(tzinfo=datetime.UTC) == started
    assert not begun.HasField("end_time")
    assert await place.get(begun.name) == begun


async def test_the_next_one_supersedes_at_the_same_instant(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    first = await place.deploy("1.0.0", start_time=now() - HOUR)
    answer = await place.recorded("1.0.0", target="elsewhere")
    assert answer.superseded == first.name
    old = await place.get(first.name)
    assert (old.outcome, old.ended_by) == (SUPERSEDED, "anonymous")
    assert old.end_reason == "superseded by 1.0.0"
    assert old.end_time == answer.deployment.start_time


async def test_an_end_is_recorded_once(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    begun = await place.deploy("1.0.0")
    ended = await place.end(begun.name, SUCCEEDED, reason="done")
    assert (ended.outcome, ended.end_reason) == (SUCCEEDED, "done")
    assert ended.end_time.ToDatetime() > ended.start_time.ToDatetime()
    again = await wire.failing(place.end(begun.name, FAILED))
    assert (again.code, again.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DEPLOYMENT_ENDED",
    )
    assert await place.get(begun.name) == ended


async def test_a_retry_is_carried_out_once(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    await place.ready("1.0.0")
    answers = [await place.recorded("1.0.0", request_id="r1") for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(await place.history()) == 1


@pytest.mark.parametrize("state", ["draft", "deleted", "quarantined"])
async def test_a_version_that_is_not_ready_is_not_deployed(
    stubs: wire.Stubs, database_url: str, state: str
) -> None:
    place = await deploying.place(stubs, stages=["development"])
    if state == "draft":
        await stubs.draft(place.model, "1.0.0")
    else:
        name = (await stubs.ready(place.model, "1.0.0")).name
        await deploying.put(stubs, database_url, name, state)
    refused = await wire.failing(place.record("1.0.0"))
    assert (refused.reason, refused.metadata["state"]) == ("VERSION_NOT_READY", state)
    assert await place.history() == []


async def test_a_stage_that_the_environment_does_not_take_is_refused(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    name = (await stubs.ready(place.model, "1.0.0")).name
    await stubs.stage(name, "staging")
    refused = await wire.failing(place.record("1.0.0"))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (refused.reason, refused.metadata["stages"]) == ("STAGE_NOT_TAKEN", "production")
    assert "takes versions in production only" in refused.message


async def test_what_does_not_exist_is_named(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    missing = await wire.failing(place.record("9.0.0"))
    assert (missing.code, "9.0.0" in missing.message) == (grpc.StatusCode.NOT_FOUND, True)
    await place.ready("1.0.0")
    nowhere = await wire.failing(place.record("1.0.0", environment=f"{place.environment}-x"))
    assert (nowhere.code, "prod-x" in nowhere.message) == (grpc.StatusCode.NOT_FOUND, True)
    other = await stubs.new_model()
    mixed = await wire.failing(place.record("1.0.0", of=other))
    assert (mixed.code, mixed.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["deployment.version"],
    )


async def test_clocks_may_differ_by_five_minutes_and_no_more(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    await place.ready("1.0.0")
    ahead = await place.record("1.0.0", start_time=now() + 4 * 60 * SECOND)
    assert ahead.start_time.ToDatetime() <= ahead.create_time.ToDatetime() + SECOND
    behind = await place.record("1.0.0", start_time=now() - 4 * 60 * SECOND)
    old = await place.get(ahead.name)
    assert old.end_time == behind.start_time
    assert behind.start_time.ToNanoseconds() - ahead.start_time.ToNanoseconds() == 1000
    future = await wire.failing(place.record("1.0.0", start_time=now() + 6 * 60 * SECOND))
    assert future.fields == ["deployment.start_time"]
    past = await wire.failing(place.record("1.0.0", start_time=now() - 6 * 60 * SECOND))
    assert (past.reason, past.metadata["deployment"]) == ("DEPLOYMENT_OVERLAPS", behind.name)
    end_future = await wire.failing(place.end(behind.name, end_time=now() + 6 * 60 * SECOND))
    assert end_future.fields == ["end_time"]
    end_early = await wire.failing(place.end(behind.name, end_time=now() - 20 * 60 * SECOND))
    assert end_early.fields == ["end_time"]
    ended = await place.end(behind.name, end_time=behind.start_time.ToDatetime() - 60 * SECOND)
    assert ended.end_time.ToNanoseconds() - ended.start_time.ToNanoseconds() == 1000


async def test_nothing_begins_while_another_ran(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    first = await place.deploy("1.0.0", start_time=now() - 3 * HOUR)
    await place.end(first.name, SUCCEEDED, end_time=now() - HOUR)
    refused = await wire.failing(place.record("1.0.0", start_time=now() - 2 * HOUR))
    assert (refused.reason, refused.metadata["deployment"]) == ("DEPLOYMENT_OVERLAPS", first.name)
    later = await place.record("1.0.0", start_time=now() - HOUR / 2)
    assert later.start_time.ToDatetime() > (await place.get(first.name)).end_time.ToDatetime()


async def test_fifty_recorders_at_once_leave_a_chain(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    await place.ready("1.0.0")
    begun = await asyncio.gather(*(place.record("1.0.0", target=str(n)) for n in range(50)))
    chain = (await place.history())[::-1]
    assert sorted(one.name for one in chain) == sorted(one.name for one in begun)
    for before, after in itertools.pairwise(chain):
        assert before.end_time == after.start_time
        assert before.outcome == SUPERSEDED
        assert before.start_time.ToNanoseconds() < before.end_time.ToNanoseconds()
    assert [one.name for one in chain if one.outcome == UNSET] == [chain[-1].name]


async def test_recording_ending_and_rolling_back_at_once_leave_a_chain(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs, stages=["staging", "production"])
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        name = (await stubs.ready(place.model, version)).name
        await stubs.stage(name, "staging")
        running = await place.record(version)
    calls: list[Any] = []
    for n in range(8):
        calls += [place.record("1.0.0", target=str(n)), place.end(running.name, FAILED)]
        calls.append(place.roll_back())
    done = await asyncio.gather(*calls, return_exceptions=True)
    for failure in done:
        if isinstance(failure, grpc.aio.AioRpcError):
            assert wire.failure_of(failure).reason in {
                "DEPLOYMENT_ENDED",
                "NO_GOOD_VERSION",
                "STAGE_NOT_TAKEN",
                "VERSION_NOT_READY",
            }
        else:
            assert not isinstance(failure, BaseException)
    chain = (await place.history())[::-1]
    assert sum(one.outcome == UNSET for one in chain) <= 1
    for before, after in itertools.pairwise(chain):
        assert before.HasField("end_time")
        assert before.end_time.ToNanoseconds() <= after.start_time.ToNanoseconds()


async def test_the_database_itself_refuses_two_at_once(
    stubs: wire.Stubs, database_url: str
) -> None:
    place = await deploying.place(stubs)
    begun = await place.deploy("1.0.0")
    connection = await asyncpg.connect(database_url)
    copied = """INSERT INTO deployment (key, namespace_id, model_id, version_id, environment_id,
        stage, target, labels, reason, actor, started_at, exclusive)
        SELECT 'ffffffffffffffff', namespace_id, model_id, version_id, environment_id, stage,
        target, labels, reason, actor, now(), exclusive FROM deployment"""
    with pytest.raises(asyncpg.ExclusionViolationError, match="deployment_one_at_a_time"):
        await connection.execute(copied)
    for statement in (
        "UPDATE deployment SET target = 'elsewhere'",
        "UPDATE deployment SET started_at = started_at - interval '1 day'",
        "DELETE FROM deployment",
    ):
        with pytest.raises(asyncpg.CheckViolationError, match="never changes"):
            await connection.execute(statement)
    await place.end(begun.name, SUCCEEDED)
    with pytest.raises(asyncpg.CheckViolationError, match="never changes"):
        await connection.execute("UPDATE deployment SET outcome = 'failed'")
    await connection.close()


async def test_several_run_beside_each_other_where_they_may(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs, allow_several=True)
    await place.ready("1.0.0")
    first, second = [await place.record("1.0.0", target=t) for t in ("eu", "us")]
    assert {one.name for one in await place.history(as_of=now())} == {first.name, second.name}
    update = pb.UpdateEnvironmentRequest(
        environment=pb.Environment(name=place.environment), update_mask={"paths": ["allow_several"]}
    )
    refused = await wire.failing(stubs.deployments.UpdateEnvironment(update))
    assert (refused.reason, refused.metadata["model"]) == ("SEVERAL_RUNNING", "m")
    await place.end(first.name, SUCCEEDED)
    await stubs.deployments.UpdateEnvironment(update)
    answer = await place.recorded("1.0.0")
    assert answer.superseded == second.name


async def test_what_runs_is_not_deleted_until_it_ends(stubs: wire.Stubs, database_url: str) -> None:
    place = await deploying.place(stubs, stages=["development"])
    name = (await stubs.ready(place.model, "1.0.0")).name
    begun = await place.record("1.0.0")
    delete = registry_pb.DeleteVersionRequest(name=name)
    refused = await wire.failing(stubs.registry.DeleteVersion(delete))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "VERSION_IN_USE",
    )
    assert f"it is deployed: {begun.name} in {place.environment}" in refused.message
    connection = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.CheckViolationError, match="is deployed"):
        await connection.execute(
            "UPDATE version SET state = 'deleted', deleted_from = 'ready', deleted_at = now()"
        )
    await connection.close()
    await place.end(begun.name, SUCCEEDED)
    await stubs.registry.DeleteVersion(delete)


async def test_of_deleting_and_deploying_at_once_one_wins(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs, stages=["development"])
    for n in range(6):
        version = f"1.{n}.0"
        name = (await stubs.ready(place.model, version)).name
        begun, deleted = await asyncio.gather(
            place.record(version),
            stubs.registry.DeleteVersion(registry_pb.DeleteVersionRequest(name=name)),
            return_exceptions=True,
        )
        assert isinstance(begun, BaseException) != isinstance(deleted, BaseException)


async def test_setting_a_version_aside_tells_where_it_runs(
    stubs: wire.Stubs, database_url: str
) -> None:
    place = await deploying.place(stubs)
    begun = await place.deploy("1.0.0", target="eu")
    await deploying.put(stubs, database_url, begun.version, "quarantined")
    told = {
        event.action: event for event in await deploying.events(stubs, place.model.split("/")[1])
    }
    assert list(told["version.quarantined"].after["runs_in"]) == [place.environment]
    danger = told["deployment.endangered"]
    assert danger.resource == begun.name
    assert (danger.after["environment"], danger.after["target"]) == (place.environment, "eu")


async def test_lists_are_filtered_and_paged(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    first = await place.deploy("1.0.0")
    second = await place.deploy("1.1.0")
    namespace = place.model.rpartition("/models/")[0]

    async def listed(parent: str = place.model, **fields: Any) -> list[str]:
        request = pb.ListDeploymentsRequest(parent=parent, **fields)
        return [one.name for one in (await stubs.deployments.ListDeployments(request)).deployments]

    assert await listed() == await listed(namespace) == [second.name, first.name]
    assert await listed(version="1.0.0") == [first.name]
    assert await listed(running=True) == [second.name]
    assert await listed(outcome=SUPERSEDED) == [first.name]
    assert await listed(environment="prod", deployer="anonymous") == [second.name, first.name]
    assert await listed(deployer="somebody") == []
    page = await stubs.deployments.ListDeployments(
        pb.ListDeploymentsRequest(parent=place.model, page_size=1)
    )
    assert await listed(page_size=1, page_token=page.next_page_token) == [first.name]
    missing = await wire.failing(listed(environment="none"))
    assert missing.code is grpc.StatusCode.NOT_FOUND
    both = await wire.failing(listed(running=True, outcome=FAILED))
    assert both.fields == ["outcome"]


async def test_the_history_answers_what_ran_at_an_instant(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    start = now() - 3 * HOUR
    first = await place.deploy("1.0.0", start_time=start)
    second = await place.deploy("1.1.0", start_time=start + HOUR)
    await place.end(second.name, SUCCEEDED, end_time=start + 2 * HOUR)
    tick = datetime.timedelta(microseconds=1)

    async def at(instant: datetime.datetime) -> list[str]:
        return [one.name for one in await place.history(as_of=instant)]

    assert await at(start - tick) == []
    assert await at(start) == [first.name]
    assert await at(start + HOUR - tick) == [first.name]
    assert await at(start + HOUR) == [second.name]
    assert await at(start + 2 * HOUR - tick) == [second.name]
    assert await at(start + 2 * HOUR) == []
    everything = await place.history()
    assert [one.name for one in everything] == [second.name, first.name]
    page = await stubs.deployments.GetDeploymentHistory(
        pb.GetDeploymentHistoryRequest(parent=place.model, page_size=1)
    )
    rest = await stubs.deployments.GetDeploymentHistory(
        pb.GetDeploymentHistoryRequest(
            parent=place.model, page_size=1, page_token=page.next_page_token
        )
    )
    assert [page.deployments[0].name, rest.deployments[0].name] == [second.name, first.name]
    assert rest.next_page_token == ""


async def test_an_old_name_of_the_model_goes_on(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    begun = await place.deploy("1.0.0")
    move = registry_pb.MoveModelRequest(name=place.model, destination=f"{place.model}-new")
    await stubs.registry.MoveModel(move)
    assert (await place.get(begun.name)).version == f"{place.model}-new/versions/1.0.0"
    again = await place.record("1.0.0")
    assert again.name.startswith(f"{place.model}-new/deployments/")
