"""Rollback: one call, the last known good, stages in line, gates asked, everything recorded."""

import dataclasses
from typing import Any

import grpc
import pytest
from support import deploying, wire

from modelkeep.domain import gates
from modelkeep.service import gating
from modelkeep.v1 import deployment_service_pb2 as pb

ROLLED_BACK, FAILED = pb.DEPLOYMENT_OUTCOME_ROLLED_BACK, pb.DEPLOYMENT_OUTCOME_FAILED
SUCCEEDED, UNSET = pb.DEPLOYMENT_OUTCOME_SUCCEEDED, pb.DEPLOYMENT_OUTCOME_UNSPECIFIED


async def three(stubs: wire.Stubs, **fields: Any) -> tuple[deploying.Deployed, list[pb.Deployment]]:
    place = await deploying.place(stubs, **fields)
    return place, [await place.deploy(version) for version in ("1.0.0", "1.1.0", "1.2.0")]


async def test_one_call_goes_back_and_brings_the_stages_in_line(stubs: wire.Stubs) -> None:
    place, (_, _, bad) = await three(stubs)
    assert [await place.stage_of(v) for v in ("1.1.0", "1.2.0")] == ["archived", "production"]
    answer = await place.roll_back(reason="answers in French")
    now = answer.deployment
    assert (now.version, now.rollback_of) == (f"{place.model}/versions/1.1.0", bad.name)
    assert (now.reason, now.stage) == ("answers in French", "production")
    old = answer.rolled_back
    assert (old.name, old.outcome, old.end_reason) == (bad.name, ROLLED_BACK, "answers in French")
    assert old.end_time == now.start_time
    assert [await place.stage_of(v) for v in ("1.1.0", "1.2.0")] == ["production", "archived"]
    moves = [(m.version.rpartition("/")[2], m.from_stage, m.to_stage) for m in answer.moves]
    assert moves == [("1.2.0", "production", "archived"), ("1.1.0", "archived", "production")]
    assert await stubs.resolve(place.model, "production") == "1.1.0"
    assert (await place.history())[0].name == now.name


async def test_it_is_told_with_its_reason(stubs: wire.Stubs) -> None:
    place, (_, _, bad) = await three(stubs)
    answer = await place.roll_back(reason="answers in French")
    told = [
        event
        for event in await deploying.events(stubs, place.model.split("/")[1])
        if event.resource == bad.name
    ]
    assert [event.action for event in told] == [
        "deployment.recorded",
        "deployment.ended",
        "deployment.rolled_back",
    ]
    after = told[-1].after
    assert after["reason"] == "answers in French"
    assert (after["deployment"], after["environment"]) == (
        answer.deployment.name,
        place.environment,
    )


async def test_what_was_bad_once_is_not_gone_back_to(stubs: wire.Stubs) -> None:
    place, _ = await three(stubs)
    await place.roll_back()
    answer = await place.roll_back()
    assert answer.deployment.version.endswith("/1.0.0")
    refused = await wire.failing(place.roll_back())
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_GOOD_VERSION",
    )
    assert "nothing good remains" in refused.message
    running = [one for one in await place.history() if one.outcome == UNSET]
    assert [one.version for one in running] == [answer.deployment.version]


async def test_after_a_failure_nothing_runs_and_it_goes_back_all_the_same(
    stubs: wire.Stubs,
) -> None:
    place, (_, _, bad) = await three(stubs)
    await place.end(bad.name, FAILED, reason="crashed")
    answer = await place.roll_back()
    assert answer.deployment.version.endswith("/1.1.0")
    assert (answer.rolled_back.name, answer.rolled_back.outcome) == (bad.name, FAILED)
    assert answer.deployment.rollback_of == bad.name
    assert await place.stage_of("1.2.0") == "archived"


async def test_a_good_version_that_is_no_longer_ready_is_passed_over(
    stubs: wire.Stubs, database_url: str
) -> None:
    place, (_, second, bad) = await three(stubs)
    await deploying.put(stubs, database_url, second.version, "quarantined")
    await deploying.put(stubs, database_url, bad.version, "quarantined")
    named = await wire.failing(place.roll_back(target_version="1.1.0"))
    assert named.reason == "VERSION_NOT_READY"
    answer = await place.roll_back()
    assert answer.deployment.version.endswith("/1.0.0")
    assert await place.stage_of("1.2.0") == "archived"


async def test_a_version_can_be_named(stubs: wire.Stubs) -> None:
    place, (first, _, bad) = await three(stubs)
    answer = await place.roll_back(target_version="1.0.0")
    assert answer.deployment.version == first.version
    again = await wire.failing(place.roll_back(target_version="1.0.0"))
    assert again.reason == "ROLLBACK_TO_ITSELF"
    back = await place.roll_back(target_version="1.2.0")  # whoever names it knows what they do
    assert back.deployment.version == bad.version
    await stubs.ready(place.model, "2.0.0")
    never = await wire.failing(place.roll_back(target_version="2.0.0"))
    assert never.reason == "NEVER_DEPLOYED"
    missing = await wire.failing(place.roll_back(target_version="3.0.0"))
    assert missing.code is grpc.StatusCode.NOT_FOUND


async def test_nothing_ever_ran(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    refused = await wire.failing(place.roll_back())
    assert refused.reason == "NOTHING_DEPLOYED"
    nowhere = await wire.failing(place.roll_back(environment="none"))
    assert nowhere.code is grpc.StatusCode.NOT_FOUND


async def test_a_rollback_takes_no_version_to_a_stage_it_did_not_have(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs, stages=["staging", "production"])
    for version in ("1.0.0", "1.1.0"):
        name = (await stubs.ready(place.model, version)).name
        await stubs.stage(name, "staging")
        await place.record(version)
    await stubs.stage(name, "production")
    await stubs.deployments.UpdateEnvironment(
        pb.UpdateEnvironmentRequest(
            environment=pb.Environment(name=place.environment, stages=["production"]),
            update_mask={"paths": ["stages"]},
        )
    )
    refused = await wire.failing(place.roll_back())
    assert refused.reason == "STAGE_NOT_TAKEN"
    assert await place.stage_of("1.1.0") == "production"


async def test_where_several_run_the_bad_one_must_be_named(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs, stages=["staging"], allow_several=True)
    for version in ("1.0.0", "1.1.0"):
        name = (await stubs.ready(place.model, version)).name
        await stubs.stage(name, "staging")
        bad = await place.record(version)
    refused = await wire.failing(place.roll_back())
    assert (refused.reason, bad.name in refused.message) == ("SEVERAL_RUNNING", True)
    answer = await place.roll_back(deployment=bad.name)
    assert answer.rolled_back.name == bad.name
    running = [one for one in await place.history() if one.outcome == UNSET]
    assert [one.name for one in running] == [answer.deployment.name]  # it ran there all the time
    assert await place.stage_of("1.1.0") == "archived"
    ended = await wire.failing(place.roll_back(deployment=bad.name))
    assert ended.reason == "DEPLOYMENT_ENDED"


async def test_what_still_runs_elsewhere_is_not_archived(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs, stages=["staging"])
    for version in ("1.0.0", "1.1.0"):
        name = (await stubs.ready(place.model, version)).name
        await stubs.stage(name, "staging")
        await place.record(version)
    namespace = place.model.rpartition("/models/")[0]
    await stubs.deployments.CreateEnvironment(
        pb.CreateEnvironmentRequest(
            parent=namespace,
            environment_id="other",
            environment=pb.Environment(stages=["staging"]),
        )
    )
    await place.record("1.1.0", environment=f"{namespace}/environments/other")
    answer = await place.roll_back()
    assert list(answer.moves) == []
    assert await place.stage_of("1.1.0") == "staging"


@dataclasses.dataclass
class Failing:
    """A gate that fails, in place of those that are judged."""

    judged: list[str]

    async def __call__(self, connection: Any, move: gating.Move) -> gates.Report:
        self.judged.append(f"{move.stored.version.name.version} to {move.target}")
        gate = gates.Signed()
        verdict = gates.Verdict(gate, passed=False, sentence="it is not signed")
        now = await connection.fetchval("SELECT clock_timestamp()")
        return gates.Report(move.target, (verdict,), now)


async def test_gates_are_asked_and_bypassed_loudly(
    stubs: wire.Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, (_, _, bad) = await three(stubs)
    failing = Failing([])
    monkeypatch.setattr(gating, "judge_move", failing)
    refused = await wire.failing(place.roll_back())
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "GATES_FAILED",
    )
    assert "it is not signed" in refused.message
    assert "--bypass-gates" in refused.message
    assert failing.judged == ["1.1.0 to production"]
    assert (await place.get(bad.name)).outcome == UNSET
    assert await place.stage_of("1.2.0") == "production"
    answer = await place.roll_back(bypass_gates=True, reason="it burns")
    assert list(answer.bypassed_gates) == ["it is not signed"]
    told = await deploying.events(stubs, place.model.split("/")[1])
    (loud,) = [event for event in told if event.action == "gates.bypassed"]
    assert loud.resource == answer.deployment.version
    assert list(loud.after["failed"]) == ["signed: it is not signed"]
    assert (loud.after["reason"], loud.after["stage"]) == ("it burns", "production")


async def test_a_bypass_that_is_not_needed_is_none(stubs: wire.Stubs) -> None:
    place, _ = await three(stubs)
    answer = await place.roll_back(bypass_gates=True)
    assert list(answer.bypassed_gates) == []
    told = await deploying.events(stubs, place.model.split("/")[1])
    assert not [event for event in told if event.action == "gates.bypassed"]


async def test_a_retry_rolls_back_once(stubs: wire.Stubs) -> None:
    place, _ = await three(stubs)
    answers = [await place.roll_back(request_id="r1") for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(await place.history()) == 4
