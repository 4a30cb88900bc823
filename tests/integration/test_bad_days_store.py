"""What the server stands on dies, fills up or falls asleep in the middle of pushes."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from support import cutting_proxy, deployments, pushing, server_process

from modelkeep import client

MIB, PART = pushing.MIB, pushing.PART_BYTES
SLACK = 2 * MIB


@pytest.fixture(scope="module")
async def deployment() -> AsyncIterator[deployments.Deployment]:
    """One for all tests of this module: each leaves it as it was, or it is broken anyway."""
    async with deployments.running() as parts:
        yield parts


@pytest.mark.slow
async def test_a_push_outlives_the_store_and_then_the_database(
    deployment: deployments.Deployment, tmp_path: Path
) -> None:
    source = pushing.random_file(tmp_path / "model.bin", 4 * PART + MIB)
    database_url, notes = deployment.postgres.url, pushing.Notes()
    async with (
        server_process.serving(deployment.config()) as (_, endpoint),
        cutting_proxy.running(endpoint) as proxy,
        client.connect(proxy.endpoint) as registry,
    ):
        proxy.hold_after(PART + 4 * MIB)
        push = asyncio.create_task(
            registry.push(
                source, "acme/died@1.0.0", listener=notes, streams=1, via=client.Via.SERVER
            )
        )
        await proxy.until_held()
        await pushing.until_durable(database_url, 1)
        await deployments.kill(deployment.store)
        proxy.release()
        assert "store" in await notes.next()
        proxy.hold_after(PART + 4 * MIB)
        await deployment.store.start()
        await proxy.until_held()
        await pushing.until_durable(database_url, 2)
        await deployments.kill(deployment.postgres)
        proxy.release()
        assert "database" in await notes.next()
        await deployment.postgres.start()
        pushed = await push
        await registry.pull("acme/died@1.0.0", tmp_path / "copy")
    assert pushed.version.state is client.VersionState.READY
    # Each death costs what was on its way and what was tried while it lasted.
    assert len(notes.notes) == 2
    assert (tmp_path / "copy" / "model.bin").read_bytes() == source.read_bytes()


@pytest.mark.slow
async def test_a_full_disk_is_said_and_the_push_goes_on_when_there_is_room(
    deployment: deployments.Deployment, tmp_path: Path
) -> None:
    source = pushing.random_file(tmp_path / "model.bin", 3 * PART + MIB)
    notes = pushing.Notes()
    async with (
        server_process.serving(deployment.config()) as (_, endpoint),
        cutting_proxy.running(endpoint) as proxy,
        client.connect(proxy.endpoint) as registry,
    ):
        proxy.hold_after(PART + 4 * MIB)
        push = asyncio.create_task(
            registry.push(
                source, "acme/full@1.0.0", listener=notes, streams=1, via=client.Via.SERVER
            )
        )
        await proxy.until_held()
        await pushing.until_durable(deployment.postgres.url, 1)
        with disk_full(deployment):
            proxy.release()
            assert "whether its disk is full" in await notes.next()
            push.cancel()
            with pytest.raises(asyncio.CancelledError):
                await push
        pushed = await registry.push(source, "acme/full@1.0.0", via=client.Via.SERVER)
        await registry.pull("acme/full@1.0.0", tmp_path / "copy")
    assert pushed.sent_bytes == source.stat().st_size - PART
    assert (tmp_path / "copy" / "model.bin").read_bytes() == source.read_bytes()


@contextlib.contextmanager
def disk_full(deployment: deployments.Deployment) -> Iterator[None]:
    """The store's files cannot grow inside the block: to it, that is a disk without room.

    What it notes about itself still has room, or it would fall silent instead of refusing.
    """
    assert deployment.store.child is not None
    pid, endless = deployment.store.child.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (512 * 1024, endless))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (endless, endless))


MEMORY_MIB = 32
PUSHES = 4
OWN_MIB = 200
"""What a server takes with nothing to do, and then some."""


@pytest.mark.slow
async def test_a_store_that_sleeps_makes_clients_wait_and_no_memory_grow(
    deployment: deployments.Deployment, tmp_path: Path
) -> None:
    sources = [
        pushing.random_file(tmp_path / f"{number}.bin", 3 * PART) for number in range(PUSHES)
    ]
    async with (
        server_process.watched(
            deployment.config(), MODELKEEP_UPLOAD_MEMORY_MIB=str(MEMORY_MIB)
        ) as server,
        client.connect(server.endpoint) as registry,
    ):
        pushes = [
            asyncio.create_task(
                registry.push(source, f"acme/slept-{number}@1.0.0", via=client.Via.SERVER)
            )
            for number, source in enumerate(sources)
        ]
        await until_received(server, 8 * MIB)
        with deployments.frozen(deployment.store):
            stuck_at = await until_nothing_moves(server)
            used = await server.figure("modelkeep_upload_memory_used_bytes")
            assert used <= MEMORY_MIB * MIB
            assert stuck_at < PUSHES * 3 * PART
            assert not any(push.done() for push in pushes)
            assert rss_mib(server) < OWN_MIB + MEMORY_MIB
        pushed = await asyncio.gather(*pushes)
        assert await server.figure("modelkeep_upload_memory_used_bytes") == 0
        assert rss_mib(server) < OWN_MIB + MEMORY_MIB
    assert all(one.version.state is client.VersionState.READY for one in pushed)


def rss_mib(server: server_process.Watched) -> float:
    return psutil.Process(server.process.pid).memory_info().rss / MIB


async def received(server: server_process.Watched) -> float:
    return await server.figure("modelkeep_upload_received_bytes_total")


async def until_received(server: server_process.Watched, size_bytes: int) -> None:
    async with asyncio.timeout(30):
        while await received(server) < size_bytes:
            pass


async def until_nothing_moves(server: server_process.Watched) -> float:
    """Wait until no byte arrives for half a second, which nobody signals; bytes until then."""
    async with asyncio.timeout(30):
        before, quiet = await received(server), 0
        while quiet < 5:
            await asyncio.sleep(0.1)
            now = await received(server)
            before, quiet = now, quiet + 1 if now == before else 0
    return before
