"""Tries to break the invariants, concurrently, through the wire and behind its back."""

import asyncio
import datetime
import hashlib
import itertools
import json
from typing import Any

import asyncpg
import grpc
import pytest
from support import wire

from modelkeep.v1 import registry_service_pb2 as pb


async def rows(url: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def test_a_hundred_creates_at_once_get_ordinals_one_to_a_hundred(
    stubs: wire.Stubs,
) -> None:
    model = await stubs.new_model()
    drafts = await asyncio.gather(*(stubs.draft(model, f"1.{n}.0") for n in range(100)))
    assert sorted(draft.ordinal for draft in drafts) == list(range(1, 101))


async def test_of_many_creates_of_one_version_one_wins(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()

    async def create() -> str:
        try:
            await stubs.draft(model, "1.0.0")
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    outcomes = await asyncio.gather(*(create() for _ in range(20)))
    assert sorted(outcomes) == ["ALREADY_EXISTS"] * 19 + ["OK"]
    got = await stubs.registry.GetModel(pb.GetModelRequest(name=model))
    assert got.model.last_ordinal == 1


async def test_of_many_finalizes_of_one_draft_one_wins(
    stubs: wire.Stubs, database_url: str
) -> None:
    draft = await stubs.draft(await stubs.new_model())

    async def finalize() -> str:
        try:
            await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=draft.name))
        except grpc.aio.AioRpcError as error:
            return wire.failure_of(error).reason
        return "won"

    outcomes = await asyncio.gather(*(finalize() for _ in range(12)))
    assert sorted(outcomes) == ["VERSION_NOT_DRAFT"] * 11 + ["won"]
    assert len(await rows(database_url, "SELECT FROM blob")) == 1
    assert len(await rows(database_url, "SELECT FROM version_file")) == 1


async def test_moves_to_production_at_once_leave_one_there_and_a_history_without_gaps(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    versions = [await stubs.ready(model, f"1.{n}.0") for n in range(12)]
    await asyncio.gather(*(stubs.stage(version.name, "staging") for version in versions))
    await asyncio.gather(*(stubs.stage(version.name, "production") for version in versions))
    listed = await stubs.registry.ListVersions(pb.ListVersionsRequest(parent=model))
    stages = sorted(version.stage for version in listed.versions)
    assert stages == ["archived"] * 11 + ["production"]
    history = await rows(
        database_url,
        "SELECT version_id, valid_from, valid_to FROM stage_assignment "
        "WHERE stage = 'production' ORDER BY valid_from",
    )
    assert len(history) == 12
    for earlier, later in itertools.pairwise(history):
        assert earlier["valid_to"] <= later["valid_from"], "two in production at one instant"


async def test_alias_moves_at_once_make_a_history_without_overlap_or_gap(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    versions = [await stubs.ready(model, f"1.{n}.0") for n in range(10)]
    await asyncio.gather(*(stubs.alias(version.name, "champion") for version in versions))
    history = await rows(
        database_url, "SELECT valid_from, valid_to FROM alias_assignment ORDER BY assignment_id"
    )
    assert len(history) == 10
    for earlier, later in itertools.pairwise(history):
        assert earlier["valid_to"] == later["valid_from"]
    assert history[-1]["valid_to"] is None


async def test_deleting_and_aliasing_at_once_never_leave_an_alias_on_a_deleted_version(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    versions = [await stubs.ready(model, f"1.{n}.0") for n in range(20)]
    calls = []
    for n, version in enumerate(versions):
        calls.append(stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=version.name)))
        calls.append(stubs.alias(version.name, f"alias-{n}"))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(outcome, Exception) for outcome in outcomes) == 20
    broken = await rows(
        database_url,
        "SELECT FROM alias_assignment a JOIN version v USING (version_id) "
        "WHERE a.valid_to IS NULL AND v.state <> 'ready'",
    )
    assert broken == []


async def test_deleting_a_base_and_deriving_from_it_at_once(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    bases = [await stubs.ready(model, f"1.{n}.0") for n in range(10)]
    namespace = model.rpartition("/models/")[0]
    adapters = await stubs.registry.CreateModel(
        pb.CreateModelRequest(parent=namespace, model_id="a", model=pb.Model(kind=2))
    )

    def derive(base: pb.Version, n: int) -> Any:
        version = pb.Version()
        version.model.base.version = base.name
        return stubs.registry.CreateVersion(
            pb.CreateVersionRequest(
                parent=adapters.model.name, version_id=f"0.{n}.0", version=version
            )
        )

    calls = []
    for n, base in enumerate(bases):
        calls.append(derive(base, n))
        calls.append(stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=base.name)))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(outcome, Exception) for outcome in outcomes) == 10
    orphans = await rows(
        database_url,
        "SELECT FROM version v JOIN version b ON b.version_id = v.base_version_id "
        "WHERE v.state <> 'deleted' AND b.state = 'deleted'",
    )
    assert orphans == []


BEHIND_THE_BACK = [
    "UPDATE version SET content = '{}'",
    "UPDATE version SET manifest_digest = sha256('x')",
    "UPDATE version SET file_count = 9",
    "UPDATE version SET finalized_at = NULL, state = 'draft'",
    "UPDATE version SET state = 'draft'",
    "UPDATE version SET state = 'deleted'",
    "UPDATE version SET ordinal = 99",
    "UPDATE version SET creator = 'mallory'",
    "UPDATE version_file SET path = 'other'",
    "UPDATE version_file SET size_bytes = 1",
    "DELETE FROM version_file",
    (
        "INSERT INTO version_file SELECT version_id, namespace_id, 'new', digest, 1, 'x' "
        "FROM version_file"
    ),
    "DELETE FROM blob",
    "UPDATE audit_event SET actor = 'mallory'",
    "DELETE FROM audit_event",
    "TRUNCATE audit_event",
    (
        "INSERT INTO alias_assignment (namespace_id, model_id, alias, version_id, reason, actor) "
        "SELECT namespace_id, model_id, alias, version_id, '', 'x' FROM alias_assignment"
    ),
    (
        "INSERT INTO stage_assignment (namespace_id, model_id, version_id, stage, reason, actor) "
        "SELECT namespace_id, model_id, version_id, 'production', '', 'x' FROM version"
    ),
]


@pytest.mark.parametrize("statement", BEHIND_THE_BACK)
async def test_the_database_itself_refuses_to_break_an_invariant(
    stubs: wire.Stubs, database_url: str, statement: str
) -> None:
    version = await stubs.ready(await stubs.new_model())
    await stubs.alias(version.name, "champion")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await rows(database_url, statement)


async def test_every_mutation_writes_its_audit_event_and_its_log_row(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    await stubs.alias(version.name, "champion")
    await stubs.stage(version.name, "staging", "production")
    await stubs.registry.DeleteAlias(pb.DeleteAliasRequest(name=f"{model}/aliases/champion"))
    await stubs.stage(version.name, "archived")
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=version.name))
    await stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=version.name))
    actions = await rows(database_url, "SELECT action FROM audit_event ORDER BY seq")
    assert [row["action"] for row in actions] == [
        "namespace.created",
        "model.created",
        "version.created",
        "version.finalized",
        "alias.set",
        "stage.set",
        "stage.set",
        "alias.deleted",
        "stage.set",
        "version.deleted",
        "version.restored",
    ]
    unmatched = await rows(
        database_url,
        "SELECT FROM audit_event a FULL JOIN event_log l USING (namespace_id, seq) "
        "WHERE a.action IS DISTINCT FROM l.action OR a.resource IS DISTINCT FROM l.resource",
    )
    assert unmatched == []
    empty = await rows(
        database_url, "SELECT FROM audit_event WHERE actor = '' OR client = '' OR request_id = ''"
    )
    assert empty == []


async def test_a_refused_mutation_leaves_nothing_behind(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    await stubs.draft(model)
    counted = "SELECT (SELECT count(*) FROM audit_event), (SELECT count(*) FROM event_log), "
    counted += "(SELECT count(*) FROM idempotency_key), (SELECT last_ordinal FROM model)"
    before = await rows(database_url, counted)
    request = pb.CreateVersionRequest(
        parent=model, version_id="1.0.0", version=wire.prompt_version(), request_id="r"
    )
    await wire.failing(stubs.registry.CreateVersion(request))
    assert await rows(database_url, counted) == before


async def test_the_audit_chain_can_be_recomputed_by_anybody(
    stubs: wire.Stubs, database_url: str
) -> None:
    """Recomputes the hashes from the documentation, not with the code that wrote them."""
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    version = pb.Version()
    version.model.parameters["seed"].int_value = 2**60
    version.model.parameters["rate"].double_value = 1e-5
    versions = [
        stubs.registry.CreateVersion(
            pb.CreateVersionRequest(parent=model, version_id=f"1.0.{n}", version=version)
        )
        for n in range(30)
    ]
    await asyncio.gather(*versions)
    events = await rows(
        database_url,
        "SELECT a.*, n.name FROM audit_event a JOIN namespace n USING (namespace_id) ORDER BY seq",
    )
    assert [event["seq"] for event in events] == list(range(1, 33))
    previous = bytes(32)
    for event in events:
        assert event["prev_hash"] == previous
        assert hashlib.sha256(document_of(event)).digest() == event["hash"]
        previous = event["hash"]


def document_of(event: asyncpg.Record) -> bytes:
    """RFC 8785 of an event of ours, whose texts are ASCII, assembled by hand."""

    def raw(text: str | None) -> str:
        return "null" if text is None else text

    occurred = event["occurred_at"].astimezone(datetime.UTC).isoformat(timespec="microseconds")
    parts = {
        "action": json.dumps(event["action"]),
        "actor": json.dumps(event["actor"]),
        "after": raw(event["after"]),
        "before": raw(event["before"]),
        "client": json.dumps(event["client"]),
        "namespace": json.dumps(event["name"]),
        "occurred_at": json.dumps(occurred),
        "prev_hash": json.dumps(event["prev_hash"].hex()),
        "request_id": json.dumps(event["request_id"]),
        "resource": json.dumps(event["resource"]),
        "seq": str(event["seq"]),
    }
    return ("{" + ",".join(f'"{key}":{value}' for key, value in parts.items()) + "}").encode()
