"""Protected aliases, and compare-and-set of aliases under fire."""

import asyncio
from typing import Any

import grpc
import pytest
from support import wire

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.v1 import registry_service_pb2 as pb


async def protect(stubs: wire.Stubs, parent: str, pattern: str) -> pb.AliasProtection:
    request = pb.ProtectAliasesRequest(parent=parent, pattern=pattern, reason="it is served")
    return (await stubs.registry.ProtectAliases(request)).protection


async def unprotect(stubs: wire.Stubs, parent: str, pattern: str) -> None:
    request = pb.UnprotectAliasesRequest(parent=parent, pattern=pattern, reason="it is not")
    await stubs.registry.UnprotectAliases(request)


async def set_alias(stubs: wire.Stubs, version: str, alias: str, **fields: Any) -> pb.Alias:
    name = f"{version.rpartition('/versions/')[0]}/aliases/{alias}"
    wanted = pb.Alias(name=name, version=version, **fields)
    return (await stubs.registry.SetAlias(pb.SetAliasRequest(alias=wanted))).alias


async def remove(stubs: wire.Stubs, alias: pb.Alias, reason: str = "") -> None:
    await stubs.registry.DeleteAlias(pb.DeleteAliasRequest(name=alias.name, reason=reason))


@pytest.fixture
def without_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    less = frozenset(policy.Action) - {policy.Action.SET_PROTECTED_ALIAS}
    monkeypatch.setitem(policy.ALLOWED, callers.Role.ADMIN, less)


async def test_a_protected_alias_needs_a_reason(stubs: wire.Stubs) -> None:
    version = await stubs.ready(await stubs.new_model())
    await protect(stubs, version.name.rpartition("/versions/")[0], "champion")
    failure = await wire.failing(set_alias(stubs, version.name, "champion"))
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "REASON_REQUIRED",
    )
    made = await set_alias(stubs, version.name, "champion", reason="better on calls")
    assert made.protected
    assert (await wire.failing(remove(stubs, made))).reason == "REASON_REQUIRED"
    assert not (await set_alias(stubs, version.name, "challenger")).protected
    await remove(stubs, made, "no longer served")


@pytest.mark.usefixtures("without_the_right")
async def test_a_protected_alias_needs_a_right_of_its_own(stubs: wire.Stubs) -> None:
    version = await stubs.ready(await stubs.new_model())
    free = await set_alias(stubs, version.name, "champion")
    await protect(stubs, version.name.rpartition("/versions/")[0], "ch*ion")
    moving = set_alias(stubs, version.name, "champion", reason="because")
    assert (await wire.failing(moving)).code is grpc.StatusCode.PERMISSION_DENIED
    removing = await wire.failing(remove(stubs, free, "because"))
    assert removing.code is grpc.StatusCode.PERMISSION_DENIED
    assert removing.metadata["action"] == "alias.set_protected"
    await set_alias(stubs, version.name, "challenger")


async def test_a_namespace_protects_the_aliases_of_all_its_models(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    namespace = model.rpartition("/models/")[0]
    version = await stubs.ready(model)
    await protect(stubs, namespace, "prod-*")
    await protect(stubs, model, "a_b")
    listed = await stubs.registry.ListAliasProtections(pb.ListAliasProtectionsRequest(parent=model))
    assert [(p.parent, p.pattern) for p in listed.protections] == [
        (model, "a_b"),
        (namespace, "prod-*"),
    ]
    assert (await wire.failing(set_alias(stubs, version.name, "prod-eu"))).reason
    elsewhere = await stubs.ready(await stubs.new_model())
    await set_alias(stubs, elsewhere.name, "prod-eu")  # another namespace
    await set_alias(stubs, version.name, "axb")  # '_' stands for itself
    assert (await wire.failing(set_alias(stubs, version.name, "a_b"))).reason == "REASON_REQUIRED"
    await unprotect(stubs, namespace, "prod-*")
    assert not (await set_alias(stubs, version.name, "prod-eu")).protected


async def test_lists_tell_what_is_protected(stubs: wire.Stubs) -> None:
    version = await stubs.ready(await stubs.new_model())
    model = version.name.rpartition("/versions/")[0]
    for alias in ("champion", "challenger"):
        await set_alias(stubs, version.name, alias)
    await protect(stubs, model, "champion")
    listed = await stubs.registry.ListAliases(pb.ListAliasesRequest(parent=model))
    assert {a.name.rpartition("/")[2]: a.protected for a in listed.aliases} == {
        "champion": True,
        "challenger": False,
    }
    got = await stubs.registry.GetAlias(pb.GetAliasRequest(name=f"{model}/aliases/champion"))
    assert got.alias.protected


async def test_protecting_twice_changes_nothing_and_unprotecting_twice_is_not_found(
    stubs: wire.Stubs,
) -> None:
    model = await stubs.new_model()
    made = await asyncio.gather(*(protect(stubs, model, "x") for _ in range(10)))
    assert len({p.protect_time.ToJsonString() for p in made}) == 1
    outcomes = await asyncio.gather(
        *(unprotect(stubs, model, "x") for _ in range(10)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert {o.code() for o in outcomes if isinstance(o, grpc.aio.AioRpcError)} == {
        grpc.StatusCode.NOT_FOUND
    }


async def test_protections_are_bounded(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    for n in range(64):
        await protect(stubs, model, f"a{n}")
    failure = await wire.failing(protect(stubs, model, "one-more"))
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await protect(stubs, model.rpartition("/models/")[0], "one-more")


@pytest.mark.parametrize("pattern", ["", "A", "a b", "-a", "a%", "a" * 129, "é", "a\n"])
async def test_what_is_no_pattern_is_refused(stubs: wire.Stubs, pattern: str) -> None:
    failure = await wire.failing(protect(stubs, "namespaces/a", pattern))
    assert failure.fields == ["pattern"]


async def test_of_many_compare_and_sets_of_one_alias_one_wins(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    versions = [await stubs.ready(model, f"1.{n}.0") for n in range(9)]
    present = await set_alias(stubs, versions[0].name, "champion")

    async def move(version: pb.Version) -> str:
        try:
            moved = await set_alias(stubs, version.name, "champion", etag=present.etag)
        except grpc.aio.AioRpcError as error:
            return wire.failure_of(error).reason
        return moved.version

    outcomes = await asyncio.gather(*(move(version) for version in versions[1:]))
    assert outcomes.count("STALE_ETAG") == 7
    (winner,) = (outcome for outcome in outcomes if outcome != "STALE_ETAG")
    got = await stubs.registry.GetAlias(pb.GetAliasRequest(name=present.name))
    assert got.alias.version == winner


async def test_counting_by_compare_and_set_loses_no_step(stubs: wire.Stubs) -> None:
    """Each of many moves the alias one version on, retrying when it was too late."""
    model = await stubs.new_model()
    versions = [(await stubs.ready(model, f"1.{n}.0")).name for n in range(13)]
    await set_alias(stubs, versions[0], "cursor")
    name = f"{model}/aliases/cursor"
    refusals: list[str] = []

    async def step() -> None:
        for _ in range(200):
            present = (await stubs.registry.GetAlias(pb.GetAliasRequest(name=name))).alias
            following = versions[versions.index(present.version) + 1]
            try:
                await set_alias(stubs, following, "cursor", etag=present.etag)
            except grpc.aio.AioRpcError as error:
                refusals.append(wire.failure_of(error).reason)
                continue
            return
        raise AssertionError("never got its turn")

    await asyncio.gather(*(step() for _ in range(12)))
    got = await stubs.registry.GetAlias(pb.GetAliasRequest(name=name))
    assert got.alias.version == versions[12]
    assert set(refusals) <= {"STALE_ETAG"}
