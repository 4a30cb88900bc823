"""Several workers behind one address: calls reach all, and none is missed or left behind."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psutil
import pytest
from support import server_process

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import artifact_service_pb2_grpc

WORKERS = 2
CONNECTIONS = 64


@pytest.fixture
async def server(config: configuration.Config) -> AsyncIterator[server_process.Watched]:
    async with server_process.watched(config, MODELKEEP_WORKERS=str(WORKERS)) as running:
        yield running


def workers_of(server: server_process.Watched) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


async def ask(endpoint: str) -> None:
    """One call over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(endpoint, options) as channel:
        stub = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
        await stub.GetCapabilities(pb.GetCapabilitiesRequest(), timeout=30)


async def until_all_run(server: server_process.Watched) -> None:
    async with asyncio.timeout(60):
        while await server.figure("modelkeep_workers_running") < WORKERS:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def answered_by(server: server_process.Watched, worker: int) -> float:
    return await server.figure(
        "modelkeep_rpc_handled_total", method="GetCapabilities", worker=str(worker)
    )


async def gone(left: list[psutil.Process]) -> bool:
    """Whether they all end by themselves."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, left, 60)
    return not alive


async def test_connections_reach_every_worker_and_their_figures_are_told_apart(
    server: server_process.Watched,
) -> None:
    for _ in range(CONNECTIONS):
        await ask(server.endpoint)
        counts = [await answered_by(server, worker) for worker in range(WORKERS)]
        if all(counts):
            break
    assert all(counts)
    status, said = await server.get("/readyz")
    assert (status, said.count("server: ok")) == (200, WORKERS)
    assert await server.get("/healthz") == (200, "worker 0: ok\nworker 1: ok\n")


async def test_what_is_pushed_over_one_is_pulled_over_another(
    server: server_process.Watched, tmp_path: Path
) -> None:
    source = tmp_path / "weights.bin"
    source.write_bytes(bytes(range(256)) * 4096)
    async with client.connect(server.endpoint) as registry:
        await registry.push(source, "acme/voice@1.0.0")
    for number in range(4):  # each its own connection
        async with client.connect(server.endpoint) as registry:
            await registry.pull("acme/voice@1.0.0", tmp_path / str(number))
        assert (tmp_path / str(number) / "weights.bin").read_bytes() == source.read_bytes()


async def test_a_worker_that_is_killed_is_started_again_and_the_others_go_on(
    server: server_process.Watched,
) -> None:
    first, *_ = workers_of(server)
    first.kill()
    await gone([first])
    for _ in range(8):
        await ask(server.endpoint)  # the kernel sends none its way
    await until_all_run(server)
    assert await server.figure("modelkeep_worker_restarts_total") == 1
    assert first not in workers_of(server)
    assert len(workers_of(server)) == WORKERS


async def test_all_end_in_order_when_told_to(server: server_process.Watched) -> None:
    left = workers_of(server)
    server.process.terminate()
    async with asyncio.timeout(60):
        assert await server.process.wait() == 0
    assert await gone(left)


async def test_none_is_left_behind_by_one_who_is_killed(server: server_process.Watched) -> None:
    left = workers_of(server)
    server.process.kill()
    assert await gone(left)


async def test_what_is_wrong_is_said_once_and_nothing_is_left(
    config: configuration.Config,
) -> None:
    ended = await server_process.refused(
        config, MODELKEEP_WORKERS=str(WORKERS), MODELKEEP_S3_SECRET_KEY="wrong"
    )
    assert ended.returncode == 1
    assert ended.stderr.count("Error: ") == 1
    assert "Traceback" not in ended.stderr


async def test_an_address_that_somebody_has_is_refused(config: configuration.Config) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = await server_process.refused(config, endpoint, MODELKEEP_WORKERS=str(WORKERS))
    assert ended.returncode == 1
    assert f"cannot listen on {endpoint}: Address already in use" in ended.stderr


async def test_two_of_several_workers_do_not_share_a_port_by_mistake(
    server: server_process.Watched, config: configuration.Config
) -> None:
    many = await server_process.refused(config, server.endpoint, MODELKEEP_WORKERS=str(WORKERS))
    one = await server_process.refused(config, server.endpoint)
    for ended in (many, one):
        assert ended.returncode == 1
        assert f"cannot listen on {server.endpoint}" in ended.stderr
