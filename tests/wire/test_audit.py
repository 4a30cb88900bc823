# ruff: noqa: S608 - what attackers run is made of constants
"""The audit log over the wire: what it lists, proves and exports, and what attackers leave."""

import asyncio
import base64
import dataclasses
import datetime
from typing import Any

import asyncpg
import grpc
import pytest
from support import attacks, chains, services, wire

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.audit_chain import lines
from modelkeep.outbound import signing
from modelkeep.service import checkpointing
from modelkeep.storage import database
from modelkeep.v1 import audit_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb


@pytest.fixture
def config(config: configuration.Config) -> configuration.Config:
    keys = configuration.SecretKeys((chains.SEED,))
    return dataclasses.replace(config, audit_signing_key=keys)


@dataclasses.dataclass
class Acme:
    """A model with a past: twelve events, of which nine are signed."""

    stubs: wire.Stubs
    endpoint: str
    model: str
    database_url: str

    @property
    def namespace(self) -> str:
        return self.model.split("/")[1]

    @property
    def parent(self) -> str:
        return f"namespaces/{self.namespace}"

    async def by_server(self) -> pb.AuditVerdict:
        return await verdict(self.stubs, self.parent)

    async def exported(self, **wanted: Any) -> list[str]:
        async with client.connect(self.endpoint) as registry:
            return [line async for line in registry.export_audit(self.namespace, **wanted)]

    async def offline(self, **trust: Any) -> client.AuditVerdict:
        texts = [line.encode() for line in await self.exported()]
        return client.verify_audit_lines(texts, **trust)


async def verdict(stubs: wire.Stubs, parent: str) -> pb.AuditVerdict:
    answers = [
        answer
        async for answer in stubs.audit.VerifyAuditChain(pb.VerifyAuditChainRequest(parent=parent))
    ]
    assert answers[-1].parent == parent
    return answers[-1].verdict


async def sign(url: str, seed: bytes = chains.SEED) -> int:
    """Have a round of checkpoints signed."""
    db = await database.Database.open(url, 2)
    try:
        return await checkpointing.Checkpointer(db, signing.Signer((seed,))).round()
    finally:
        await db.close()


@pytest.fixture
async def acme(stubs: wire.Stubs, endpoint: str, database_url: str) -> Acme:
    model = await stubs.new_model()
    for number in range(3):
        version = await stubs.ready(model, f"1.{number}.0")
        await stubs.alias(version.name, "champion")
        if number == 1:
            await stubs.stage(version.name, "staging")
            assert await sign(database_url) == 1
    return Acme(stubs, endpoint, model, database_url)


SIGNED, LAST = attacks.SIGNED, attacks.LAST


async def listed(stubs: wire.Stubs, parent: str, **fields: Any) -> list[pb.AuditEvent]:
    found: list[pb.AuditEvent] = []
    token = ""
    while True:
        request = pb.ListAuditEventsRequest(parent=parent, page_token=token, **fields)
        page = await stubs.audit.ListAuditEvents(request)
        found += page.events
        token = page.next_page_token
        if not token:
            return found


async def test_events_are_listed_with_who_from_where_and_the_chain(acme: Acme) -> None:
    events = await listed(acme.stubs, acme.parent, page_size=5)
    assert [event.sequence for event in events] == list(range(LAST, 0, -1))
    first, second = events[-1], events[-2]
    assert first.action == "namespace.created"
    assert first.actor == "anonymous"
    assert "127.0.0.1" in first.client
    assert first.request_id
    assert first.prev_hash == "0" * 64
    assert second.prev_hash == first.hash
    again = await listed(acme.stubs, acme.parent, page_size=5, oldest_first=True)
    assert again == events[::-1]


async def test_events_are_filtered(acme: Acme) -> None:
    async def sequences(**fields: Any) -> list[int]:
        found = await listed(acme.stubs, acme.parent, page_size=2, oldest_first=True, **fields)
        return [event.sequence for event in found]

    everything = await listed(acme.stubs, acme.parent, oldest_first=True)
    assert await sequences(actions=["alias.*"]) == [5, 8, 12]
    assert await sequences(actions=["stage.set", "model.created"]) == [2, 9]
    assert await sequences(actions=["stage_set"]) == []
    assert await sequences(resource=f"{acme.model}/versions/1.1.0") == [6, 7, 9]
    assert await sequences(resource=acme.model) == list(range(2, LAST + 1))
    assert await sequences(resource=acme.model[:-1] or "x") == []
    assert await sequences(actor="anonymous") == list(range(1, LAST + 1))
    assert await sequences(actor="local") == []
    fifth, eighth = everything[4].create_time, everything[7].create_time
    assert await sequences(start_time=fifth, end_time=eighth) == [5, 6, 7]
    assert await sequences(start_time=everything[-1].create_time) == [LAST]


async def test_what_cannot_be_asked_is_refused(acme: Acme) -> None:
    stubs = acme.stubs
    page = await stubs.audit.ListAuditEvents(
        pb.ListAuditEventsRequest(parent=acme.parent, page_size=2)
    )
    for request, fields in (
        (pb.ListAuditEventsRequest(parent="x", actions=["A B"]), ["parent", "actions[0]"]),
        (
            pb.ListAuditEventsRequest(
                parent=acme.parent, actor="else", page_token=page.next_page_token
            ),
            ["page_token"],
        ),
    ):
        failure = await wire.failing(stubs.audit.ListAuditEvents(request))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.fields == fields
    missing = pb.ListAuditEventsRequest(parent="namespaces/none")
    failure = await wire.failing(stubs.audit.ListAuditEvents(missing))
    assert failure.code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as ahead:
        async for _ in stubs.audit.ExportAuditEvents(
            pb.ExportAuditEventsRequest(parent=acme.parent, after_sequence=99)
        ):
            pass
    assert wire.failure_of(ahead.value).reason == "SEQUENCE_AHEAD"


async def test_a_chain_that_nobody_touched_is_intact_for_both_verifiers(acme: Acme) -> None:
    found = await acme.by_server()
    assert found.intact, found
    assert (found.sequence, found.verified_checkpoints, found.checkpoint_sequence) == (
        LAST,
        1,
        SIGNED,
    )
    offline = await acme.offline(keys=[chains.public_key()])
    assert offline.is_intact, offline
    assert (offline.sequence, offline.checkpoints) == (LAST, 1)
    assert offline.hash == found.hash
    answers = acme.stubs.audit.VerifyAuditChain(pb.VerifyAuditChainRequest(parent="namespaces/-"))
    assert [answer.verdict.intact async for answer in answers] == [True]


async def test_an_export_goes_on_where_another_ended(acme: Acme) -> None:
    whole = await acme.exported()
    part = await acme.exported(after_sequence=7)
    assert part[1:-1] == whole[8:-1]
    (head,) = [lines.read(text.encode()) for text in whole[:1]]
    assert isinstance(head, lines.Start)
    events = await listed(acme.stubs, acme.parent, oldest_first=True)
    since = events[7].create_time.ToDatetime(tzinfo=datetime.UTC)
    assert (await acme.exported(since=since))[1:-1] == whole[8:-1]
    await acme.stubs.stage(f"{acme.model}/versions/1.2.0", "staging")
    more = await acme.exported(after_sequence=LAST)
    both = client.verify_audit_lines([text.encode() for text in (*whole, *more)])
    assert both.is_intact, both
    assert both.sequence == LAST + 1


@pytest.mark.parametrize("attack", attacks.ATTACKS)
async def test_what_an_attacker_does_in_the_database_is_found_and_named(
    acme: Acme, attack: str
) -> None:
    statement, kind, sequence = attacks.ATTACKS[attack]
    await services.execute(acme.database_url, f"{attacks.FREE} {statement}")
    found = await acme.by_server()
    assert not found.intact
    named = pb.AuditFaultKind.Name(found.fault.kind).removeprefix("AUDIT_FAULT_KIND_").lower()
    assert (named, found.fault.sequence) == (kind, sequence), found.fault
    offline = await acme.offline(keys=[chains.public_key()])
    assert offline.fault is not None
    if kind != "inserted" or sequence != LAST + 1:
        assert (offline.fault.kind, offline.fault.sequence) == (kind, sequence)


async def rewrite(url: str, start: int) -> None:
    """Change an event and write all hashes behind it anew, the counter's as well."""
    connection = await asyncpg.connect(url)
    await connection.execute(attacks.FREE)
    events = await connection.fetch(
        "SELECT a.*, n.name FROM audit_event a JOIN namespace n USING (namespace_id) ORDER BY seq"
    )
    previous = events[start - 2]["hash"]
    for event in events[start - 1 :]:
        link = chains.written(event["seq"], previous, "mallory", event["name"])
        fields = chains.fields_of(link)
        await connection.execute(
            """UPDATE audit_event SET occurred_at = $2::text::timestamptz, actor = $3, client = $4,
            request_id = $5, action = $6, resource = $7, before = $8::text::json,
            after = $9::text::json, prev_hash = $10, hash = $11 WHERE seq = $1""",
            *fields,
        )
        previous = link.hash
    await connection.execute("UPDATE event_counter SET last_hash = $1", previous)
    await connection.close()


async def test_a_chain_written_anew_is_found_by_its_checkpoint(acme: Acme) -> None:
    await rewrite(acme.database_url, SIGNED + 1)
    assert (await acme.by_server()).intact  # behind the last checkpoint nothing tells, by design
    await rewrite(acme.database_url, 5)
    found = await acme.by_server()
    assert found.fault.kind == pb.AUDIT_FAULT_KIND_REWRITTEN
    assert found.fault.sequence == SIGNED
    offline = await acme.offline()
    assert offline.fault is not None
    assert (offline.fault.kind, offline.fault.sequence) == ("rewritten", SIGNED)


async def test_checkpoints_kept_elsewhere_find_what_those_removed_cannot(acme: Acme) -> None:
    stubs = acme.stubs
    request = pb.ListAuditCheckpointsRequest(parent=acme.parent)
    (kept,) = (await stubs.audit.ListAuditCheckpoints(request)).checkpoints
    assert kept.sequence == SIGNED
    keys = (await stubs.audit.ListAuditKeys(pb.ListAuditKeysRequest())).keys
    assert [(key.public_key, key.signs) for key in keys] == [
        (base64.b64encode(chains.public_key()).decode(), True)
    ]
    await services.execute(
        acme.database_url, f"{attacks.FREE} {attacks.ATTACKS['tail cut off with the counter'][0]};"
        "DELETE FROM audit_checkpoint",
    )  # fmt: skip
    assert (await acme.by_server()).intact
    read = client.read_audit_checkpoints([kept.line.encode()])
    offline = await acme.offline(kept=read, keys=[chains.public_key()])
    assert offline.fault is not None
    assert (offline.fault.kind, offline.fault.sequence) == ("truncated", 7)


async def test_checkpoints_of_a_strangers_key_are_no_checkpoints(acme: Acme) -> None:
    await services.execute(acme.database_url, f"{attacks.FREE} DELETE FROM audit_checkpoint")
    assert await sign(acme.database_url, chains.OTHER_SEED) == 1
    found = await acme.by_server()
    assert found.fault.kind == pb.AUDIT_FAULT_KIND_CHECKPOINT
    assert (await acme.offline()).is_intact
    trusting = await acme.offline(keys=[chains.public_key()])
    assert trusting.fault is not None


async def test_a_broken_chain_is_not_signed(acme: Acme) -> None:
    await services.execute(
        acme.database_url,
        f"{attacks.FREE} UPDATE audit_event SET actor = 'eve' WHERE seq = {LAST - 1}",
    )
    assert await sign(acme.database_url) == 0
    assert (await acme.by_server()).checkpoint_sequence == SIGNED


async def test_signing_twice_at_once_keeps_one_checkpoint(acme: Acme) -> None:
    await asyncio.gather(*(sign(acme.database_url) for _ in range(4)))
    counted = await services.fetch_value(acme.database_url, "SELECT count(*) FROM audit_checkpoint")
    assert counted == 2
    assert (await acme.by_server()).checkpoint_sequence == LAST
    assert await sign(acme.database_url) == 0


async def test_writers_beside_a_verification_raise_no_false_alarm(acme: Acme) -> None:
    version = f"{acme.model}/versions/1.2.0"
    done = asyncio.Event()

    async def write(number: int) -> None:
        for round_number in range(15):
            await acme.stubs.alias(version, f"a-{number}-{round_number}")

    async def write_all() -> None:
        await asyncio.gather(*(write(number) for number in range(6)))
        done.set()

    async def keep_signing() -> None:
        while not done.is_set():
            await sign(acme.database_url)

    writing = asyncio.gather(write_all(), keep_signing())
    verified = 0
    while not done.is_set():
        found = await acme.by_server()
        assert found.intact, found
        offline = await acme.offline(keys=[chains.public_key()])
        assert offline.is_intact, offline
        verified += 1
    await writing
    assert verified > 1
    assert (await acme.by_server()).sequence == LAST + 90


async def test_without_a_key_nothing_is_signed_and_the_verdict_says_so(
    config: configuration.Config,
) -> None:
    bare = dataclasses.replace(config, audit_signing_key=configuration.SecretKeys(()))
    async with (
        app.running(bare) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        stubs = wire.Stubs.over(channel)
        model = await stubs.new_model()
        found = await verdict(stubs, model.partition("/models/")[0])
        assert found.intact
        assert not found.checkpoints_verifiable
        assert not (await stubs.audit.ListAuditKeys(pb.ListAuditKeysRequest())).keys


async def test_the_server_signs_by_itself(config: configuration.Config) -> None:
    eager = dataclasses.replace(config, audit_checkpoint_interval_s=0.05)
    async with (
        app.running(eager) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        stubs = wire.Stubs.over(channel)
        parent = (await stubs.new_model()).partition("/models/")[0]
        async with asyncio.timeout(20):
            while (await verdict(stubs, parent)).checkpoint_sequence != 2:  # noqa: ASYNC110 - its clock
                await asyncio.sleep(0.02)


async def test_the_registrys_own_chain_is_there_even_if_it_is_empty(stubs: wire.Stubs) -> None:
    assert await listed(stubs, "namespaces/_registry") == []
    assert (await verdict(stubs, "namespaces/_registry")).intact
    taken = registry_pb.CreateNamespaceRequest(namespace_id="_registry")
    failure = await wire.failing(stubs.registry.CreateNamespace(taken))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
