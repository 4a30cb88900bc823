"""The SDK follows events while servers are killed and drained: every event once, in order."""

import asyncio
import contextlib
import random
import signal
import socket

import pytest
from support import happening, server_process, uploading

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.storage import database

WRITERS = 8
EACH = 60
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_watch_goes_on_exactly_over_kills_and_drains(
    config: configuration.Config, database_url: str
) -> None:
    db = await database.Database.open(database_url, 8)
    await uploading.make_namespace(db)
    endpoint = f"127.0.0.1:{lasting_port()}"
    position = client.Position()
    async with contextlib.AsyncExitStack() as stack:
        registry = await stack.enter_async_context(client.connect(endpoint))
        reading = asyncio.create_task(follow(registry, 1 + WRITERS * EACH * len(ENDS), position))
        for number, sign in enumerate(ENDS):
            async with server_process.serving(config, endpoint) as (server, _):
                await reached(position, WRITERS * EACH * number)
                writing = asyncio.create_task(happening.happen_at_once(db, WRITERS, EACH))
                await reached(position, WRITERS * EACH * number + 100)
                server.send_signal(sign)
                await server.wait()
            await writing
        async with server_process.serving(config, endpoint), asyncio.timeout(60):
            found = await reading
    await db.close()
    assert position.interruptions >= len(ENDS)
    assert found == await happening.logged(database_url)


def lasting_port() -> int:
    """A free port that no outgoing connection is given while the server is away."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def follow(
    registry: client.Registry, total: int, position: client.Position
) -> list[tuple[int, str, str]]:
    found = []
    async for event in registry.watch("acme", after_sequence=0, position=position):
        found.append((event.sequence, event.action, event.resource))
        if len(found) == total:
            break
    return found


async def reached(position: client.Position, sequence: int) -> None:
    """Wait until a watch has come so far; the SDK keeps it up to date and tells nobody."""
    await uploading.until(lambda: (position.sequence or 0) >= sequence)
