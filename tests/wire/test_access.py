"""Who gets in, and what they may then do, on a server that lets nobody in without credentials."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from support import closed, wire

from modelkeep import config as configuration
from modelkeep.authz import policy
from modelkeep.transport import authentication
from modelkeep.v1 import access_service_pb2 as pb
from modelkeep.v1 import (
    artifact_service_pb2,
    audit_service_pb2,
    event_service_pb2,
    lifecycle_service_pb2,
)
from modelkeep.v1 import registry_service_pb2 as registry_pb

READER, CONTRIBUTOR, ADMIN = pb.ROLE_READER, pb.ROLE_CONTRIBUTOR, pb.ROLE_ADMIN
APPROVER, DEPLOYER, AUDITOR = pb.ROLE_APPROVER, pb.ROLE_DEPLOYER, pb.ROLE_AUDITOR
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED, NOT_FOUND = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND


@pytest.fixture
async def world(config: configuration.Config) -> AsyncIterator[closed.Closed]:
    """A closed server of this test's own."""
    async with closed.running(config) as running:
        yield running


async def whoami(stubs: wire.Stubs) -> pb.WhoAmIResponse:
    return await stubs.access.WhoAmI(pb.WhoAmIRequest())


async def refused(stubs: wire.Stubs) -> str:
    """Why the caller does not get in."""
    failure = await wire.failing(whoami(stubs))
    assert failure.code is UNAUTHENTICATED
    return failure.reason


async def revoke(stubs: wire.Stubs, name: str) -> None:
    await stubs.access.RevokeToken(pb.RevokeTokenRequest(name=name))


def get_model(stubs: wire.Stubs, name: str) -> Any:
    return stubs.registry.GetModel(registry_pb.GetModelRequest(name=name))


async def audited(world: closed.Closed, parent: str, *actions: str) -> list[Any]:
    request = audit_service_pb2.ListAuditEventsRequest(
        parent=parent, actions=actions, oldest_first=True
    )
    return list((await world.admin.audit.ListAuditEvents(request)).events)


async def denied(world: closed.Closed, action: str) -> list[Any]:
    found = await audited(world, closed.REGISTRY, "access.denied")
    return [event for event in found if event.after["action"] == action]


async def test_nobody_gets_in_without_credentials(world: closed.Closed) -> None:
    nobody = world.with_token("")
    assert await refused(nobody) == "NO_CREDENTIALS"
    request = artifact_service_pb2.GetCapabilitiesRequest()
    assert (await nobody.artifact.GetCapabilities(request)).server_version
    verify = audit_service_pb2.VerifyAuditChainRequest(parent="namespaces/-")
    with pytest.raises(grpc.aio.AioRpcError, match="no credentials came with the call"):
        await anext(aiter(nobody.audit.VerifyAuditChain(verify)))


async def test_a_token_says_who_one_is(world: closed.Closed) -> None:
    told = await whoami(world.admin)
    assert told.principal == closed.OWNER
    assert [grant.role for grant in told.grants] == [ADMIN]
    made = await world.token("service:ci", description="builds")
    assert made.text.startswith(f"mk_{made.token.name.removeprefix('tokens/')}_")
    ci = await whoami(world.with_token(made.text))
    assert (ci.principal, ci.token, list(ci.grants)) == ("service:ci", made.token.name, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text[:4] + ("0" if text[4] != "0" else "1") + text[5:],
        lambda text: text[:-43] + "A" * 43,
    ],
    ids=["secret", "id", "guess"],
)
async def test_who_knows_half_a_token_knows_nothing(world: closed.Closed, change: Any) -> None:
    assert await refused(world.with_token(change(world.admin_token))) == "TOKEN_UNKNOWN"


@pytest.mark.parametrize("text", ["mk_", "x", "mk_0123456789abcdef_short", "Basic eDp5"])
async def test_what_is_no_token_does_not_get_in(world: closed.Closed, text: str) -> None:
    assert await refused(world.with_token(text)) == "UNKNOWN_CREDENTIALS"


async def test_a_token_of_a_megabyte_is_refused_before_it_is_looked_at(
    world: closed.Closed,
) -> None:
    failure = await wire.failing(whoami(world.with_token("mk_" + "a" * 2**20)))
    assert failure.code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    assert (await whoami(world.admin)).principal == closed.OWNER


async def test_an_expired_token_does_not_get_in(world: closed.Closed) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=-1)
    made = await world.token("user:alice", expire_time=soon)
    assert await refused(world.with_token(made.text)) == "TOKEN_EXPIRED"


async def test_a_revoked_token_is_dead_at_once(world: closed.Closed) -> None:
    made = await world.token("user:alice")
    alice = world.with_token(made.text)
    await whoami(alice)  # it is remembered now
    await revoke(world.admin, made.token.name)
    assert await refused(alice) == "TOKEN_REVOKED"
    await revoke(world.admin, made.token.name)  # again is the same as once
    (event,) = await audited(world, closed.REGISTRY, "token.revoked")
    assert (event.actor, event.resource) == (closed.OWNER, made.token.name)
    assert event.credential == f"token:{world.admin_token.split('_')[1]}"


async def test_no_call_that_began_after_a_revocation_gets_in(world: closed.Closed) -> None:
    """Many use a token while it is revoked: each call gets in or is told why, none later."""
    made = await world.token("user:alice")
    alice = world.with_token(made.text)
    gone = asyncio.Event()
    late: list[str] = []
    reasons: set[str] = set()

    async def use() -> None:
        for _ in range(200):
            is_late = gone.is_set()
            try:
                await whoami(alice)
            except grpc.aio.AioRpcError as error:
                reasons.add(wire.failure_of(error).reason)
                return
            if is_late:
                late.append("got in")

    users = [asyncio.create_task(use()) for _ in range(8)]
    await revoke(world.admin, made.token.name)
    gone.set()
    await asyncio.gather(*users)
    assert (late, reasons) == ([], {"TOKEN_REVOKED"})
    assert await refused(alice) == "TOKEN_REVOKED"


async def test_a_token_is_shown_once(world: closed.Closed) -> None:
    request = pb.CreateTokenRequest(token=pb.Token(description="x"), request_id="r-1")
    made = await world.admin.access.CreateToken(request)
    again = await wire.failing(world.admin.access.CreateToken(request))
    assert (again.reason, again.metadata["token"]) == ("TOKEN_SHOWN_ONCE", made.token.name)
    listed = (await world.admin.access.ListTokens(pb.ListTokensRequest())).tokens
    assert sorted(token.name for token in listed)[0:2] == sorted(
        [made.token.name, f"tokens/{world.admin_token.split('_')[1]}"]
    )
    assert made.text not in str(listed)


async def test_one_makes_tokens_for_oneself_with_no_more_than_one_has(
    world: closed.Closed,
) -> None:
    alice = await world.somebody("user:alice")
    mine = await alice.access.CreateToken(pb.CreateTokenRequest(token=pb.Token()))
    assert mine.token.principal == "user:alice"
    for foreign in (pb.Token(principal="user:bob"), pb.Token(groups=["group:ml"])):
        failure = await wire.failing(alice.access.CreateToken(pb.CreateTokenRequest(token=foreign)))
        assert failure.code is DENIED
    limited = await world.token("user:alice", scopes=[pb.Grant(role=READER)])
    failure = await wire.failing(
        world.with_token(limited.text).access.CreateToken(pb.CreateTokenRequest())
    )
    assert (failure.code, failure.metadata["action"]) == (DENIED, "token.create")


async def test_a_token_that_ends_makes_none_that_outlives_it(world: closed.Closed) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    alice = world.with_token((await world.token("user:alice", expire_time=soon)).text)
    create = alice.access.CreateToken
    assert (await wire.failing(create(pb.CreateTokenRequest()))).code is DENIED
    later = pb.Token(expire_time=soon + datetime.timedelta(seconds=1))
    assert (await wire.failing(create(pb.CreateTokenRequest(token=later)))).code is DENIED
    await create(pb.CreateTokenRequest(token=pb.Token(expire_time=soon)))


async def test_tokens_of_others_are_not_there(world: closed.Closed) -> None:
    alice = await world.somebody("user:alice")
    others = f"tokens/{world.admin_token.split('_')[1]}"
    for name in (others, "tokens/0123456789abcdef"):
        failure = await wire.failing(revoke(alice, name))
        assert (failure.code, failure.message) == (NOT_FOUND, f"{name} does not exist")
    failure = await wire.failing(alice.access.ListTokens(pb.ListTokensRequest(principal="-")))
    assert failure.code is DENIED
    everybodys = await world.admin.access.ListTokens(pb.ListTokensRequest(principal="-"))
    assert {token.principal for token in everybodys.tokens} == {closed.OWNER, "user:alice"}
    async with asyncio.timeout(30):  # whoever may not know what is there is not kept waiting for it
        while not (attempts := await denied(world, "token.revoke")):
            pass
    assert [attempt.actor for attempt in attempts] == ["user:alice"]


async def test_use_is_noted(world: closed.Closed) -> None:
    made = await world.token("user:alice")
    await whoami(world.with_token(made.text))
    await world.flush()
    (token,) = (
        await world.admin.access.ListTokens(pb.ListTokensRequest(principal="user:alice"))
    ).tokens
    assert token.HasField("last_use_time")


async def test_a_scope_only_takes_away(world: closed.Closed) -> None:
    model = await world.admin.new_model()
    namespace = model.partition("/models/")[0]
    await world.grant("user:alice", CONTRIBUTOR, namespace)
    wide = pb.Grant(role=ADMIN)
    reading = pb.Grant(role=READER, resource=namespace)
    elsewhere = pb.Grant(role=READER, resource="namespaces/elsewhere")
    can = {}
    for name, scopes in {
        "none": [],
        "wide": [wide],
        "reading": [reading],
        "off": [elsewhere],
    }.items():
        alice = world.with_token((await world.token("user:alice", scopes=scopes)).text)
        request = pb.TestPermissionsRequest(
            resource=model, actions=["model.read", "version.create", "model.move"]
        )
        can[name] = list((await alice.access.TestPermissions(request)).actions)
    assert can == {
        "none": ["model.read", "version.create"],
        "wide": ["model.read", "version.create"],
        "reading": ["model.read"],
        "off": [],
    }


async def test_groups_of_a_token_bring_their_roles(world: closed.Closed) -> None:
    model = await world.admin.new_model()
    await world.grant("group:ml", READER, model.partition("/models/")[0])
    alice = world.with_token((await world.token("user:alice", groups=["group:ml"])).text)
    assert (await get_model(alice, model)).model.name == model
    other = world.with_token((await world.token("user:alice")).text)
    assert (await wire.failing(get_model(other, model))).code is NOT_FOUND


async def test_a_stream_ends_when_its_caller_may_no_longer(
    world: closed.Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "STANDING_S", 0.0)
    model = await world.admin.new_model()
    namespace = model.partition("/models/")[0]
    await world.grant("user:alice", READER, namespace)
    made = await world.token("user:alice")
    request = event_service_pb2.WatchRequest(parent=namespace)

    async def watching() -> Any:
        call = world.with_token(made.text).events.Watch(request)
        await anext(aiter(call))
        return call

    call = await watching()
    await world.grant("user:alice", CONTRIBUTOR, namespace)  # an event, and another access
    failure = await wire.failing(anext(aiter(call)))
    assert failure.reason == "ACCESS_CHANGED"
    call = await watching()
    await revoke(world.admin, made.token.name)
    await world.grant("user:bob", READER, namespace)
    assert (await wire.failing(anext(aiter(call)))).reason == "TOKEN_REVOKED"


async def test_what_one_may_not_know_of_looks_like_what_is_not_there(
    world: closed.Closed,
) -> None:
    there = await world.admin.new_model()
    missing = there.replace("namespaces/", "namespaces/no-", 1)
    alice = await world.somebody("user:alice", (READER, await world.admin.new_model()))
    seen = {}
    for name in (there, missing):
        failure = await wire.failing(get_model(alice, name))
        seen[name] = (failure.code, failure.message.replace(name, "X"), failure.reason)
        assert failure.metadata == {"resource": name}
    assert seen[there] == seen[missing] == (NOT_FOUND, "X does not exist", "NOT_FOUND")


async def test_lists_show_only_what_may_be_read(world: closed.Closed) -> None:
    first, second = await world.admin.new_model(), await world.admin.new_model()
    namespace = first.partition("/models/")[0]
    for model in ("a", "b"):
        await world.admin.registry.CreateModel(
            registry_pb.CreateModelRequest(
                parent=namespace,
                model_id=model,
                model=registry_pb.Model(kind=registry_pb.MODEL_KIND_PROMPT),
            )
        )
    alice = await world.somebody("user:alice", (READER, f"{namespace}/models/a"))
    listed = await alice.registry.ListNamespaces(registry_pb.ListNamespacesRequest())
    assert [one.name for one in listed.namespaces] == [namespace]
    models = await alice.registry.ListModels(registry_pb.ListModelsRequest(parent=namespace))
    assert [one.name for one in models.models] == [f"{namespace}/models/a"]
    assert (await wire.failing(get_model(alice, f"{namespace}/models/b"))).code is DENIED
    assert (await wire.failing(get_model(alice, second))).code is NOT_FOUND
    everything = await world.admin.registry.ListNamespaces(registry_pb.ListNamespacesRequest())
    assert len(everything.namespaces) == 2


async def test_a_role_for_one_stage_moves_only_there(world: closed.Closed) -> None:
    version = await world.admin.ready(await world.admin.new_model())
    await world.grant(
        "user:alice", APPROVER, version.name.partition("/models/")[0], stage="staging"
    )
    alice = world.with_token((await world.token("user:alice")).text)

    def move(stage: str) -> Any:
        return alice.lifecycle.SetStage(
            lifecycle_service_pb2.SetStageRequest(name=version.name, stage=stage, reason="x")
        )

    await move("staging")
    failure = await wire.failing(move("production"))
    assert (failure.code, failure.metadata["action"]) == (DENIED, "stage.set")
    aliased = registry_pb.Alias(
        name=f"{version.name.partition('/versions/')[0]}/aliases/x", version=version.name
    )
    setting = alice.registry.SetAlias(registry_pb.SetAliasRequest(alias=aliased))
    assert (await wire.failing(setting)).code is DENIED


async def test_a_role_for_one_alias_sets_only_that(world: closed.Closed) -> None:
    version = await world.admin.ready(await world.admin.new_model())
    model = version.name.partition("/versions/")[0]
    await world.grant("user:alice", DEPLOYER, model, alias="canary")
    alice = world.with_token((await world.token("user:alice")).text)

    def point(alias: str) -> Any:
        wanted = registry_pb.Alias(name=f"{model}/aliases/{alias}", version=version.name)
        return alice.registry.SetAlias(registry_pb.SetAliasRequest(alias=wanted))

    await point("canary")
    assert (await wire.failing(point("champion"))).code is DENIED
    await alice.registry.DeleteAlias(
        registry_pb.DeleteAliasRequest(name=f"{model}/aliases/canary", reason="x")
    )


async def test_a_role_stays_with_a_model_that_is_renamed(world: closed.Closed) -> None:
    model = await world.admin.new_model()
    alice = await world.somebody("user:alice", (READER, model))
    await get_model(alice, model)
    await world.admin.registry.MoveModel(
        registry_pb.MoveModelRequest(name=model, destination=f"{model}-2")
    )
    world.deciding.bindings.forget()
    assert (await get_model(alice, f"{model}-2")).model.name == f"{model}-2"


async def test_two_grants_at_once_are_one(world: closed.Closed) -> None:
    made = await asyncio.gather(*(world.grant("user:alice", READER) for _ in range(10)))
    assert len(set(made)) == 1
    assert len(await audited(world, closed.REGISTRY, "role.granted")) == 1
    binding = made[0]
    outcomes = await asyncio.gather(
        *(take_away(world.admin, binding) for _ in range(10)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1


async def take_away(stubs: wire.Stubs, name: str) -> None:
    await stubs.access.DeleteRoleBinding(pb.DeleteRoleBindingRequest(name=name))


async def test_the_last_administrator_stays(world: closed.Closed) -> None:
    def listing() -> Any:
        return world.admin.access.ListRoleBindings(pb.ListRoleBindingsRequest())

    (only,) = (await listing()).bindings
    failure = await wire.failing(take_away(world.admin, only.name))
    assert failure.reason == "LAST_ADMIN"
    second = await world.grant("user:second", ADMIN)
    outcomes = await asyncio.gather(
        take_away(world.admin, only.name), take_away(world.admin, second), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1


async def test_a_namespaces_administrator_gives_roles_there_alone(world: closed.Closed) -> None:
    mine, others = await world.admin.new_model(), await world.admin.new_model()
    namespace, other = (name.partition("/models/")[0] for name in (mine, others))
    alice = await world.somebody("user:alice", (ADMIN, namespace))

    def give(resource: str) -> Any:
        grant = pb.Grant(role=READER, resource=resource)
        binding = pb.RoleBinding(principal="user:bob", grant=grant)
        return alice.access.CreateRoleBinding(pb.CreateRoleBindingRequest(binding=binding))

    made = (await give(namespace)).binding
    assert (await wire.failing(give(other))).code is NOT_FOUND
    assert (await wire.failing(give(""))).code is DENIED
    elsewhere = await world.grant("user:carol", READER, other)
    failure = await wire.failing(take_away(alice, elsewhere))
    assert (failure.code, failure.message) == (NOT_FOUND, f"{elsewhere} does not exist")
    await take_away(alice, made.name)
    events = await audited(world, namespace, "role.*")
    assert [event.action for event in events] == ["role.granted", "role.granted", "role.revoked"]
    assert [event.actor for event in events] == [closed.OWNER, "user:alice", "user:alice"]
    quota = registry_pb.UpdateNamespaceRequest(
        namespace=registry_pb.Namespace(name=namespace, stored_bytes_quota=1),
        update_mask={"paths": ["stored_bytes_quota"]},
    )
    assert (await wire.failing(alice.registry.UpdateNamespace(quota))).code is DENIED


async def test_what_is_given_and_taken_works_at_once(world: closed.Closed) -> None:
    model = await world.admin.new_model()
    alice = await world.somebody("user:alice")
    for _ in range(3):
        assert (await wire.failing(get_model(alice, model))).code is NOT_FOUND
        binding = await world.grant("user:alice", READER, model)
        assert (await get_model(alice, model)).model.name == model
        await take_away(world.admin, binding)


async def test_actions_that_are_none_are_refused_with_a_hint(world: closed.Closed) -> None:
    request = pb.TestPermissionsRequest(actions=["version.creat"])
    failure = await wire.failing(world.admin.access.TestPermissions(request))
    assert failure.fields == ["actions[0]"]
    assert "version.create" in failure.message
    everything = pb.TestPermissionsRequest(actions=[action.value for action in policy.Action])
    told = await world.admin.access.TestPermissions(everything)
    assert len(told.actions) == len(policy.Action)


async def test_the_chain_with_credentials_in_it_is_whole(world: closed.Closed) -> None:
    await world.admin.new_model()
    answers = world.admin.audit.VerifyAuditChain(
        audit_service_pb2.VerifyAuditChainRequest(parent="namespaces/-")
    )
    verdicts = [answer.verdict async for answer in answers if answer.HasField("verdict")]
    assert len(verdicts) == 2
    assert all(verdict.intact for verdict in verdicts)
    exported = world.admin.audit.ExportAuditEvents(
        audit_service_pb2.ExportAuditEventsRequest(parent=closed.REGISTRY)
    )
    text = "\n".join([line async for answer in exported for line in answer.lines])
    assert '"credential":"token:' not in text  # only what `admin init` did, which presents nothing
