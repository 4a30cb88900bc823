"""Several replicas deliver, and one of them is killed: nothing lost, nothing at once, in order."""

import asyncio
import random

import pytest
from aiohttp import web
from support import happening, receiver, server_process, uploading

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.storage import database

MODELS = 20
EACH = 10


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_killed_replica_loses_nothing_and_order_holds_for_each_resource(
    config: configuration.Config, database_url: str
) -> None:
    db = await database.Database.open(database_url, 8)
    await uploading.make_namespace(db)
    chance = random.Random(7)

    async def moody(_message: receiver.Message, _request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(chance.random() * 0.02)  # so that replicas have time to get it wrong
        return web.Response(status=500 if chance.random() < 0.1 else 200)

    async with (
        receiver.running() as there,
        server_process.watched(config, **receiver.environ()) as first,
        server_process.watched(config, **receiver.environ()),
    ):
        there.behaviour = moody
        async with client.connect(first.endpoint) as registry:
            wanted = client.EventFilter(actions=("model.updated",))
            await registry.create_webhook("acme", there.url, wanted)
        writing = asyncio.create_task(happening.happen_at_once(db, MODELS, EACH))
        await there.until_accepted(MODELS)
        first.process.kill()
        await first.process.wait()
        await writing
        expected = {
            seq
            for seq, action, _ in await happening.logged(database_url)
            if action == "model.updated"
        }
        assert len(expected) == MODELS * EACH
        await all_accepted(there, expected)
    await db.close()
    assert there.overlaps == 0
    told: dict[str, list[int]] = {}
    for message in there.accepted:
        told.setdefault(message.resource, []).append(message.sequence)
    for sequences in told.values():
        assert list(dict.fromkeys(sequences)) == sorted(set(sequences))


async def all_accepted(there: receiver.Receiver, expected: set[int]) -> None:
    """Wait; what the killed one had claimed is due again when the claim has run out."""
    async with asyncio.timeout(90):
        while {message.sequence for message in there.accepted} != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_what_was_committed_before_a_crash_is_delivered_after_it(
    config: configuration.Config, database_url: str
) -> None:
    db = await database.Database.open(database_url, 4)
    await uploading.make_namespace(db)
    async with receiver.running() as there:
        async with server_process.watched(config, **receiver.environ()) as server:
            async with client.connect(server.endpoint) as registry:
                await registry.create_webhook("acme", there.url)
            await there.until_accepted(1)  # the webhook's own creation
            server.process.kill()
            await server.process.wait()
        await happening.happen(db, 20)  # as if it had died between their commits and the delivery
        async with server_process.watched(config, **receiver.environ()):
            accepted = await there.until_accepted(21)
        assert [message.sequence for message in accepted] == list(range(2, 23))
    await db.close()
