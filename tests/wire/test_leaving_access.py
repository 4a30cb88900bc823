"""Who may move a model to another namespace, and who is told that it is there."""

from collections.abc import AsyncIterator

import grpc
import pytest
from support import closed, leaving, promoting, services, wire

from modelkeep import config as configuration
from modelkeep.local import postgres as embedded
from modelkeep.v1 import access_service_pb2 as access_pb
from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import lifecycle_service_pb2 as lifecycle_pb
from modelkeep.v1 import registry_service_pb2 as pb

ADMIN, READER = access_pb.ROLE_ADMIN, access_pb.ROLE_READER
CONTRIBUTOR, APPROVER = access_pb.ROLE_CONTRIBUTOR, access_pb.ROLE_APPROVER
DENIED, NOT_FOUND = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND


@pytest.fixture
async def world(config: configuration.Config) -> AsyncIterator[closed.Closed]:
    async with closed.running(config) as world:
        yield world


async def somebody(
    world: closed.Closed, here: int | None, there: int | None, *places: str
) -> wire.Stubs:
    """Somebody with these roles in the two namespaces."""
    given = [
        (role, place) for role, place in zip((here, there), places, strict=True) if role is not None
    ]
    return await world.somebody(f"user:u{here}-{there}", *given)


async def places(world: closed.Closed) -> tuple[str, str, str, str]:
    """A model, its namespace, another namespace, and the model's name there."""
    old = (await leaving.filled(world.admin, leaving.some_files(11))).partition("/versions/")[0]
    there = await leaving.namespace(world.admin)
    return old, leaving.parent_of(old), there, f"{there}/models/voice"


@pytest.mark.parametrize(
    ("here", "there", "code"),
    [
        (ADMIN, None, NOT_FOUND),
        (ADMIN, READER, DENIED),
        (ADMIN, APPROVER, DENIED),
        (CONTRIBUTOR, ADMIN, DENIED),
        (READER, ADMIN, DENIED),
        (None, ADMIN, NOT_FOUND),
        (None, None, NOT_FOUND),
    ],
)
async def test_rights_on_one_side_are_not_enough(
    world: closed.Closed, here: int | None, there: int | None, code: grpc.StatusCode
) -> None:
    old, parent, other, new = await places(world)
    caller = await somebody(world, here, there, parent, other)
    nowhere = f"{other}/models/none" if there is None else f"{parent}/models/none"
    for call in (leaving.move, leaving.copy):
        refused = await wire.failing(call(caller, old, new))
        assert refused.code is code, call
        # And no other words for what is not there.
        if there is None:
            assert (await wire.failing(call(caller, old, nowhere))).code is code
        elif here is None:
            assert (await wire.failing(call(caller, nowhere, new))).code is code


async def test_an_admin_here_and_contributor_there_moves_what_a_contributor_could_make(
    world: closed.Closed,
) -> None:
    old, parent, other, new = await places(world)
    caller = await somebody(world, ADMIN, CONTRIBUTOR, parent, other)
    await leaving.relocate(caller, old, new)
    assert (await caller.registry.GetModel(pb.GetModelRequest(name=old))).model.name == new


async def test_what_a_contributor_could_not_do_there_a_move_does_not_do(
    world: closed.Closed,
) -> None:
    old, parent, other, new = await places(world)
    caller = await somebody(world, ADMIN, CONTRIBUTOR, parent, other)
    version = f"{old}/versions/1.0.0"
    await world.admin.stage(version, "staging")
    refused = await wire.failing(leaving.move(caller, old, new))
    assert (refused.code, refused.metadata["action"]) == (DENIED, "stage.set")
    assert (await wire.failing(leaving.copy(caller, old, new))).code is DENIED
    await world.grant(f"user:u{ADMIN}-{CONTRIBUTOR}", APPROVER, other)
    world.deciding.bindings.forget()
    protection = pb.ProtectAliasesRequest(parent=other, pattern="champ*", reason="r")
    await world.admin.registry.ProtectAliases(protection)
    await world.admin.alias(version, "champion")
    await leaving.copy(caller, old, new)
    await world.admin.lifecycle.SetGatePolicy(
        lifecycle_pb.SetGatePolicyRequest(policy={"name": f"{other}/gatePolicies/staging"})
    )
    refused = await wire.failing(leaving.move(caller, old, new))
    assert (refused.code, refused.metadata["action"]) == (DENIED, "gates.bypass")
    await world.admin.lifecycle.SetGatePolicy(
        lifecycle_pb.SetGatePolicyRequest(policy={"name": f"{old}/gatePolicies/production"})
    )
    refused = await wire.failing(leaving.move(caller, old, new))
    assert (refused.code, refused.metadata["action"]) == (DENIED, "gate_policy.set")
    await leaving.move(world.admin, old, new)


async def test_pickles_do_not_slip_past_a_quarantine(world: closed.Closed) -> None:
    contents = {"model.pkl": b"cos\nsystem\n(S'true'\ntR."}
    version = await leaving.filled(world.admin, contents)
    old = version.partition("/versions/")[0]
    there = await leaving.namespace(world.admin, pickle_policy=pb.PICKLE_POLICY_QUARANTINE)
    new = f"{there}/models/voice"
    caller = await somebody(world, ADMIN, CONTRIBUTOR, leaving.parent_of(old), there)
    refused = await wire.failing(leaving.copy(caller, old, new))
    assert (refused.code, refused.metadata["action"]) == (DENIED, "version.release")
    await leaving.relocate(world.admin, old, new)


async def test_roles_on_the_model_are_taken_away_first(world: closed.Closed) -> None:
    old, _, _, new = await places(world)
    await world.grant("user:alice", READER, old)
    refused = await wire.failing(leaving.move(world.admin, old, new))
    assert refused.reason == "MODEL_HAS_BINDINGS"
    assert "user:alice" in refused.message
    listed = await world.admin.access.ListRoleBindings(
        access_pb.ListRoleBindingsRequest(parent=old)
    )
    for binding in listed.bindings:
        request = access_pb.DeleteRoleBindingRequest(name=binding.name)
        await world.admin.access.DeleteRoleBinding(request)
    await leaving.relocate(world.admin, old, new)


async def test_who_may_not_read_it_there_learns_that_it_is_gone_and_no_more(
    world: closed.Closed, config: configuration.Config
) -> None:
    old, parent, other, new = await places(world)
    alice = await world.somebody("user:alice", (ADMIN, parent))
    bob = await world.somebody("user:bob", (READER, parent), (READER, other))
    await leaving.relocate(world.admin, old, new)
    version = f"{old}/versions/1.0.0"
    short = "/".join(old.split("/")[1::2])
    for stubs in (alice, bob):
        calls = [
            stubs.registry.GetModel(pb.GetModelRequest(name=old)),
            stubs.registry.GetVersion(pb.GetVersionRequest(name=version)),
            stubs.registry.ResolveVersion(pb.ResolveVersionRequest(ref=f"{short}@1.0.0")),
            stubs.registry.ListVersions(pb.ListVersionsRequest(parent=old)),
            verified(stubs, version),
        ]
        if stubs is bob:
            for call in calls:
                assert new in str(await call)
            continue
        calls += [
            stubs.registry.CreateVersion(
                pb.CreateVersionRequest(parent=old, version_id="2.0.0", version=pb.Version())
            ),
            leaving.move(stubs, old, f"{old}-2"),
            leaving.copy(stubs, old, f"{old}-2"),
        ]
        for call in calls:
            refused = await wire.failing(call)
            assert (refused.code, refused.reason) == (NOT_FOUND, "NOT_FOUND")
            assert refused.message == f"{old} is not here any more"
            assert other.split("/")[1] not in str(refused)
    denied = "SELECT FROM audit_event WHERE action = 'access.denied'"
    assert not await leaving.rows(config.database_url, denied)


async def verified(stubs: wire.Stubs, version: str) -> str:
    """A stream by the old name; the new name, if it was answered."""
    request = artifact_pb.VerifyVersionRequest(name=version)
    told = [answer async for answer in stubs.artifact.VerifyVersion(request)]
    assert told
    return (await stubs.registry.GetVersion(pb.GetVersionRequest(name=version))).version.name


async def test_what_was_asked_and_said_about_moves_goes_along(
    postgres: embedded.Postgres,
    _template: str,  # noqa: PT019 - its name is wanted
    s3: services.S3,
) -> None:
    async with promoting.team(postgres, _template, s3) as team:
        version = await team.staged()
        name = await team.approved(version)
        await promoting.commit(team.ann, name)
        old = version.partition("/versions/")[0]
        new = f"{await leaving.namespace(team.admin)}/models/voice"
        await leaving.relocate(team.admin, old, new)
        assert await leaving.strays(team.url) == {}
        for table in ("transition", "transition_verdict", "gate_result"):
            assert await leaving.rows(team.url, f"SELECT FROM {table}"), table
        found = await promoting.get(team.admin, name)
        assert found.name == name.replace(old, new)
        assert [one.approver for one in found.verdicts] == ["user:bob"]
