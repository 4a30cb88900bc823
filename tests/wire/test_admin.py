"""What operators see of the real server: metrics that parse, probes that tell the truth."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from prometheus_client import parser
from support import deployments, server_process, wire

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.v1 import artifact_service_pb2 as artifact
from modelkeep.v1 import registry_service_pb2 as pb

KIB, MIB = 1024, 1024 * 1024
LABELS = {"method", "code", "operation", "action", "kind", "le", "version", "python"}


@pytest.fixture
async def server(config: configuration.Config) -> AsyncIterator[server_process.Watched]:
    async with server_process.watched(config) as running:
        yield running


@pytest.fixture
async def deployment() -> AsyncIterator[deployments.Deployment]:
    async with deployments.running() as parts:
        yield parts


async def part_of_an_upload(stubs: wire.Stubs) -> Any:
    """A stream in the middle of a part, of which the server has taken something."""
    request = artifact.StartUploadRequest(
        parent="namespaces/acme", digest=f"sha256:{'0' * 64}", size_bytes=20 * MIB
    )
    name = (await stubs.artifact.StartUpload(request)).upload.name
    stream = stubs.artifact.WriteUpload()
    await stream.write(
        artifact.WriteUploadRequest(name=name, offset=0, data=bytes(KIB), state_lookup=True)
    )
    await stream.read()
    return stream


async def until_ready_is(server: server_process.Watched, status: int, says: str) -> None:
    async with asyncio.timeout(30):
        while True:
            found, body = await server.get("/readyz")
            if found == status and says in body:
                return
            await asyncio.sleep(0.05)


async def test_the_metrics_tell_what_was_done(
    server: server_process.Watched, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(os.urandom(3 * MIB))
    async with client.connect(server.endpoint) as registry:
        await registry.push(tmp_path / "model.bin", "acme/voice@1.0.0")
        await registry.pull("acme/voice@1.0.0", tmp_path / "copy")
        with pytest.raises(client.errors.NotFound):
            await registry.resolve("acme/voice@9.9.9")
    status, text = await server.get("/metrics")
    assert status == 200
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert all(family.documentation for family in families.values())
    assert found["modelkeep_rpc_handled_total", "NOT_FOUND", "ResolveVersion"] == 1
    assert found["modelkeep_rpc_duration_seconds_count", "WriteUpload"] == 1
    assert found["modelkeep_rpc_in_flight", "WriteUpload"] == 0
    assert found["modelkeep_upload_received_bytes_total",] == 3 * MIB
    assert found["modelkeep_blob_sent_bytes_total",] == 3 * MIB
    assert found["modelkeep_store_operation_seconds_count", "put"] >= 1
    assert found["modelkeep_store_transferred_bytes_total", "put"] == 3 * MIB
    assert found["modelkeep_changes_total", "upload.committed"] == 1
    assert found["modelkeep_changes_total", "upload.failed"] == 0
    assert found["modelkeep_upload_memory_used_bytes",] == 0
    assert found["modelkeep_upload_memory_limit_bytes",] == 64 * MIB
    assert found["modelkeep_database_connections_limit",] == 16
    assert found["modelkeep_database_wait_seconds_count",] > 3
    assert found["modelkeep_event_loop_lag_seconds_count",] > 0
    assert found["process_resident_memory_bytes",] > MIB


async def test_no_name_of_a_customer_is_in_the_metrics(
    server: server_process.Watched, tmp_path: Path
) -> None:
    (tmp_path / "secret-file.bin").write_bytes(b"x")
    async with client.connect(server.endpoint) as registry:
        await registry.push(tmp_path / "secret-file.bin", "secret-space/secret-model@1.0.0")
    _, text = await server.get("/metrics")
    assert "secret" not in text
    labels = {
        label
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels <= LABELS


async def test_a_server_that_drains_is_alive_but_not_ready(
    config: configuration.Config,
) -> None:
    async with server_process.watched(config) as server:
        assert await server.get("/readyz") == (200, "server: ok\ndatabase: ok\nstore: ok\n")
        async with grpc.aio.insecure_channel(server.endpoint) as channel:
            stubs = wire.Stubs.over(channel)
            await stubs.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id="acme"))
            stream = await part_of_an_upload(stubs)
            server.process.send_signal(signal.SIGTERM)
            await until_ready_is(server, 503, "server: draining")
            assert await server.get("/healthz") == (200, "ok\n")
            assert await server.figure("modelkeep_rpc_in_flight", method="WriteUpload") == 1
            stream.cancel()
        async with asyncio.timeout(20):
            assert await server.process.wait() == 0


@pytest.mark.slow
async def test_ready_follows_the_database_and_the_store(
    deployment: deployments.Deployment,
) -> None:
    async with server_process.watched(deployment.config()) as server:
        await until_ready_is(server, 200, "database: ok")
        await deployments.kill(deployment.store)
        await until_ready_is(server, 503, "store: The object store at")
        assert await server.get("/healthz") == (200, "ok\n")
        assert "database: ok" in (await server.get("/readyz"))[1]
        await deployment.store.start()
        await until_ready_is(server, 200, "store: ok")
        await deployments.kill(deployment.postgres)
        await until_ready_is(server, 503, "database: the database does not answer now")
        await deployment.postgres.start()
        await until_ready_is(server, 200, "database: ok")


async def test_an_admin_address_in_use_is_refused_at_the_start(
    config: configuration.Config,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = await server_process.refused(config, MODELKEEP_ADMIN_LISTEN=address)
    assert ended.returncode == 1
    assert f"cannot listen on {address}, which MODELKEEP_ADMIN_LISTEN names" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_without_the_setting_there_is_no_admin_port(config: configuration.Config) -> None:
    async with server_process.serving(config) as (process, endpoint):
        ports = {
            f"127.0.0.1:{connection.laddr.port}"
            for connection in psutil.Process(process.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    assert ports == {endpoint}
