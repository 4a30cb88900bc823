"""Who moved what, when and why; and that pages neither skip nor repeat."""

import asyncio
from typing import Any

import grpc
import pytest
from support import wire

from modelkeep.v1 import history_pb2, lifecycle_service_pb2
from modelkeep.v1 import registry_service_pb2 as pb


async def history(stubs: wire.Stubs, model: str, **fields: Any) -> list[history_pb2.HistoryEntry]:
    entries: list[history_pb2.HistoryEntry] = []
    token = ""
    while True:
        request = pb.ListHistoryRequest(parent=model, page_token=token, **fields)
        page = await stubs.registry.ListHistory(request)
        entries += page.entries
        token = page.next_page_token
        if not token:
            return entries


async def lived(stubs: wire.Stubs) -> str:
    """A model two of whose versions have been in production; its name."""
    model = await stubs.new_model()
    for n in (0, 1):
        version = await stubs.ready(model, f"1.{n}.0")
        await stubs.alias(version.name, "champion")
        await stubs.stage(version.name, "staging", "production")
    return model


def told(entries: list[history_pb2.HistoryEntry]) -> list[tuple[str, str, str, str]]:
    def last(text: str) -> str:
        return text.rpartition("/")[2]

    return [(e.action, last(e.resource), last(e.before), last(e.after)) for e in entries]


async def test_everything_is_told_newest_first(stubs: wire.Stubs) -> None:
    model = await lived(stubs)
    await stubs.registry.UpdateVersion(
        pb.UpdateVersionRequest(
            version={"name": f"{model}/versions/1.0.0", "card": "# c", "description": "d"},
            update_mask={"paths": ["card", "description"]},
        )
    )
    entries = await history(stubs, model)
    assert told(entries) == [
        ("version.updated", "1.0.0", "", ""),
        ("stage.set", "1.1.0", "staging", "production"),
        ("stage.set", "1.0.0", "production", "archived"),
        ("stage.set", "1.1.0", "development", "staging"),
        ("alias.set", "champion", "1.0.0", "1.1.0"),
        ("version.finalized", "1.1.0", "draft", ""),
        ("version.created", "1.1.0", "", ""),
        ("stage.set", "1.0.0", "staging", "production"),
        ("stage.set", "1.0.0", "development", "staging"),
        ("alias.set", "champion", "", "1.0.0"),
        ("version.finalized", "1.0.0", "draft", ""),
        ("version.created", "1.0.0", "", ""),
        ("model.created", "m", "", ""),
    ]
    assert sorted(entries[0].changed_fields) == ["card", "description"]
    assert entries[2].reason == "replaced by 1.1.0: test"
    assert {e.actor for e in entries} == {"anonymous"}
    assert [e.sequence for e in entries] == sorted((e.sequence for e in entries), reverse=True)


async def test_deletions_and_restorations_are_told(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=version.name))
    await stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=version.name))
    alias = await stubs.alias(version.name, "x")
    await stubs.registry.DeleteAlias(pb.DeleteAliasRequest(name=alias.name, reason="gone"))
    entries = await history(stubs, model)
    assert told(entries)[:4] == [
        ("alias.deleted", "x", "1.0.0", ""),
        ("alias.set", "x", "", "1.0.0"),
        ("version.restored", "1.0.0", "", "ready"),
        ("version.deleted", "1.0.0", "ready", ""),
    ]
    assert entries[0].reason == "gone"


async def test_filters_narrow_it(stubs: wire.Stubs) -> None:
    model = await lived(stubs)
    await stubs.alias(f"{model}/versions/1.0.0", "other")
    champion = await history(stubs, model, alias="champion")
    assert [e[2:] for e in told(champion)] == [("1.0.0", "1.1.0"), ("", "1.0.0")]
    production = await history(stubs, model, stage="production")
    assert [e[1:] for e in told(production)] == [
        ("1.1.0", "staging", "production"),
        ("1.0.0", "production", "archived"),
        ("1.0.0", "staging", "production"),
    ]
    of_one = await history(stubs, model, version="1.0.0")
    assert {e[1] for e in told(of_one)} == {"1.0.0", "champion", "other"}
    assert len(of_one) == 8
    both = await history(stubs, model, version="1.0.0", stage="staging")
    assert len(both) == 2


async def test_another_models_history_is_not_told(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    namespace = model.rpartition("/models/")[0]
    for other in ("m2", "x", "m.m"):
        await stubs.registry.CreateModel(pb.CreateModelRequest(parent=namespace, model_id=other))
    assert told(await history(stubs, model)) == [("model.created", "m", "", "")]


async def test_a_model_that_was_renamed_keeps_its_history(stubs: wire.Stubs) -> None:
    model = await lived(stubs)
    before = await history(stubs, model)
    await stubs.registry.MoveModel(pb.MoveModelRequest(name=model, destination=f"{model}-2"))
    after = await history(stubs, f"{model}-2")
    assert told(after)[0] == ("model.moved", "m-2", "m", "m-2")
    assert [e.sequence for e in after[1:]] == [e.sequence for e in before]
    assert [e.sequence for e in await history(stubs, model)] == [e.sequence for e in after]
    assert len(await history(stubs, f"{model}-2", alias="champion")) == 2


async def test_pages_neither_skip_nor_repeat_while_more_happens(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = (await stubs.ready(model)).name
    for n in range(30):
        await stubs.alias(version, f"a{n}")
    before = [e.sequence for e in await history(stubs, model)]
    walk = asyncio.create_task(history(stubs, model, page_size=3))
    await asyncio.gather(*(stubs.alias(version, f"b{n}") for n in range(10)))
    walked = [e.sequence for e in await walk]
    assert len(walked) == len(set(walked))
    assert [s for s in walked if s <= before[0]] == before


async def test_assignments_tell_from_when_to_when(stubs: wire.Stubs) -> None:
    model = await lived(stubs)
    request = pb.ListAliasHistoryRequest(parent=model, alias="champion")
    now, then = (await stubs.registry.ListAliasHistory(request)).assignments
    assert [now.version, then.version] == [f"{model}/versions/1.{n}.0" for n in (1, 0)]
    assert (now.HasField("end_time"), then.end_time) == (False, now.start_time)
    request = lifecycle_service_pb2.GetStageHistoryRequest(parent=model, version="1.0.0")
    stood = (await stubs.lifecycle.GetStageHistory(request)).assignments
    assert [s.stage for s in stood] == ["archived", "production", "staging", "development"]
    assert [s.end_time for s in stood[1:]] == [s.start_time for s in stood[:-1]]
    request = lifecycle_service_pb2.GetStageHistoryRequest(parent=model, stage="production")
    held = (await stubs.lifecycle.GetStageHistory(request)).assignments
    assert [s.version.rpartition("/")[2] for s in held] == ["1.1.0", "1.0.0"]


async def test_assignments_come_in_pages(stubs: wire.Stubs) -> None:
    model = await lived(stubs)
    seen, token = [], ""
    for _ in range(8):
        request = lifecycle_service_pb2.GetStageHistoryRequest(
            parent=model, page_size=2, page_token=token
        )
        page = await stubs.lifecycle.GetStageHistory(request)
        seen += [(s.version, s.stage) for s in page.assignments]
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [({"alias": "A B"}, "alias"), ({"stage": "live"}, "stage"), ({"version": "1"}, "version")],
)
async def test_what_is_no_filter_is_refused(
    stubs: wire.Stubs, fields: dict[str, str], wrong: str
) -> None:
    request = pb.ListHistoryRequest(parent="namespaces/a/models/b", **fields)
    failure = await wire.failing(stubs.registry.ListHistory(request))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [wrong])
