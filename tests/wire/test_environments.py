"""Environments: what they take, what is changed and refused, and who may."""

from typing import Any

import grpc
import pytest
from support import deploying, wire

from modelkeep.authz import caller as callers
from modelkeep.transport import authentication
from modelkeep.v1 import deployment_service_pb2 as pb


async def create(stubs: wire.Stubs, parent: str, name: str, **fields: Any) -> pb.Environment:
    request = pb.CreateEnvironmentRequest(
        parent=parent, environment_id=name, environment=pb.Environment(**fields)
    )
    return (await stubs.deployments.CreateEnvironment(request)).environment


async def update(stubs: wire.Stubs, name: str, *paths: str, **fields: Any) -> pb.Environment:
    request = pb.UpdateEnvironmentRequest(
        environment=pb.Environment(name=name, **fields), update_mask={"paths": paths}
    )
    return (await stubs.deployments.UpdateEnvironment(request)).environment


async def test_they_are_created_listed_changed_and_deleted(stubs: wire.Stubs) -> None:
    namespace = (await stubs.new_model()).rpartition("/models/")[0]
    prod = await create(
        stubs, namespace, "prod", stages=["production"], description="d", labels={"a": "b"}
    )
    assert prod.name == f"{namespace}/environments/prod"
    assert (list(prod.stages), prod.allow_several) == (["production"], False)
    again = await wire.failing(create(stubs, namespace, "prod", stages=["staging"]))
    assert again.code is grpc.StatusCode.ALREADY_EXISTS
    trial = await create(stubs, namespace, "trial", stages=["staging", "production"])
    listed = await stubs.deployments.ListEnvironments(pb.ListEnvironmentsRequest(parent=namespace))
    assert [one.name for one in listed.environments] == [prod.name, trial.name]
    changed = await update(stubs, trial.name, "stages", "allow_several", allow_several=True)
    assert (list(changed.stages), changed.allow_several) == ([], True)
    stale = await wire.failing(update(stubs, trial.name, "stages", etag=trial.etag))
    assert stale.reason == "STALE_ETAG"
    read = await stubs.deployments.GetEnvironment(pb.GetEnvironmentRequest(name=trial.name))
    assert read.environment == changed
    await stubs.deployments.DeleteEnvironment(pb.DeleteEnvironmentRequest(name=trial.name))
    gone = await wire.failing(
        stubs.deployments.GetEnvironment(pb.GetEnvironmentRequest(name=trial.name))
    )
    assert gone.code is grpc.StatusCode.NOT_FOUND


async def test_what_is_malformed_is_named(stubs: wire.Stubs) -> None:
    namespace = (await stubs.new_model()).rpartition("/models/")[0]

    async def fields(name: str = "e", **stated: Any) -> list[str]:
        return (await wire.failing(create(stubs, namespace, name, **stated))).fields

    assert await fields() == ["environment.stages"]
    assert await fields(stages=["archived"]) == ["environment.stages[0]"]
    assert await fields(stages=["staging", "staging"]) == ["environment.stages[1]"]
    for hostile in ("", "Prod", "../x", "a b", "\u202ea", "x" * 200):
        assert await fields(hostile, stages=["staging"]) == ["environment_id"]


async def test_one_with_a_history_stays_and_can_be_closed(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    begun = await place.deploy("1.0.0")
    await place.end(begun.name)
    delete = pb.DeleteEnvironmentRequest(name=place.environment)
    refused = await wire.failing(stubs.deployments.DeleteEnvironment(delete))
    assert refused.reason == "ENVIRONMENT_IN_USE"
    await update(stubs, place.environment, "stages")
    closed = await wire.failing(place.record("1.0.0"))
    assert (closed.reason, "takes nothing any more" in closed.message) == ("STAGE_NOT_TAKEN", True)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes every further call one of a caller with this role."""

    def act(role: callers.Role) -> None:
        caller = callers.Caller(role.value, "test", "test", grants=(callers.Grant(role),))

        async def known(*_: object) -> callers.Caller:
            return caller

        monkeypatch.setattr(authentication.Authentication, "caller", known)

    return act


async def test_a_deployer_rolls_back_but_does_not_bypass_gates(
    stubs: wire.Stubs, become: Any
) -> None:
    place = await deploying.place(stubs)
    for version in ("1.0.0", "1.1.0"):
        await place.deploy(version)
    become(callers.Role.READER)
    assert (await wire.failing(place.roll_back())).code is grpc.StatusCode.PERMISSION_DENIED
    become(callers.Role.DEPLOYER)
    refused = await wire.failing(place.roll_back(bypass_gates=True))
    assert (refused.code, refused.metadata["action"]) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "gates.bypass",
    )
    answer = await place.roll_back()
    assert answer.deployment.deployer == "deployer"
