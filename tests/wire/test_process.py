"""The server as a process of its own: told to stop in an upload, beside others, in parts."""

import asyncio
import dataclasses
import hashlib
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import google_crc32c
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support import server_process, wire

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry

MIB = 2**20
PART = 16 * MIB
CONTENT = random.Random(1).randbytes(3 * PART + 5 * MIB)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


async def start_upload(stubs: wire.Stubs) -> pb.Upload:
    answer = await stubs.artifact.StartUpload(
        pb.StartUploadRequest(parent="namespaces/acme", digest=DIGEST, size_bytes=len(CONTENT))
    )
    return answer.upload


def chunk_at(name: str, start: int, offset: int) -> pb.WriteUploadRequest:
    chunk = CONTENT[offset : offset + MIB]
    return pb.WriteUploadRequest(
        name=name if offset == start else "",
        offset=offset,
        crc32c=google_crc32c.value(chunk),
        data=chunk,
    )


async def send_rest(stubs: wire.Stubs, upload: pb.Upload) -> tuple[int, pb.Upload]:
    """Send what is not durable and complete; bytes sent, and the upload."""
    start = upload.persisted_ranges[0].end if upload.persisted_ranges else 0

    async def requests() -> AsyncIterator[pb.WriteUploadRequest]:
        for offset in range(start, len(CONTENT), MIB):
            yield chunk_at(upload.name, start, offset)
        yield pb.WriteUploadRequest(offset=len(CONTENT), finish_stream=True)

    async for _ in stubs.artifact.WriteUpload(requests()):
        pass
    done = await stubs.artifact.CompleteUpload(pb.CompleteUploadRequest(name=upload.name))
    upload = done.upload
    while upload.state == pb.UPLOAD_STATE_VERIFYING:
        await asyncio.sleep(0.05)
        answer = await stubs.artifact.GetUpload(pb.GetUploadRequest(name=upload.name))
        upload = answer.upload
    return len(CONTENT) - start, upload


async def end_of(stream: Any) -> grpc.StatusCode:
    """Read a stream to its end; how it ended."""
    try:
        while await stream.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def read_back(stubs: wire.Stubs) -> bytes:
    request = pb.ReadBlobRequest(name=f"namespaces/acme/blobs/{DIGEST}")
    return b"".join([chunk.data async for chunk in stubs.artifact.ReadBlob(request)])


@pytest.mark.slow
async def test_a_server_told_to_stop_says_so_first_and_uploads_go_on_elsewhere(
    config: configuration.Config,
) -> None:
    async with (
        server_process.serving(config) as (server, endpoint),
        server_process.serving(config) as (_, elsewhere),
    ):
        async with grpc.aio.insecure_channel(endpoint) as channel:
            stubs = wire.Stubs.over(channel)
            await stubs.registry.CreateNamespace(
                registry.CreateNamespaceRequest(namespace_id="acme")
            )
            health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
            upload = await start_upload(stubs)
            stream = stubs.artifact.WriteUpload()
            for offset in range(0, PART, MIB):
                await stream.write(chunk_at(upload.name, 0, offset))
            while (await stream.read()).persisted_offset < PART:
                pass
            server.send_signal(signal.SIGTERM)
            assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            health.cancel()
            assert (await end_of(stream)) is grpc.StatusCode.UNAVAILABLE
        async with asyncio.timeout(20):
            assert await server.wait() == 0
        async with grpc.aio.insecure_channel(elsewhere) as channel:
            stubs = wire.Stubs.over(channel)
            again = await start_upload(stubs)
            sent, done = await send_rest(stubs, again)
            assert sent == len(CONTENT) - PART
            assert done.state == pb.UPLOAD_STATE_COMMITTED
            assert await read_back(stubs) == CONTENT


@pytest.mark.slow
async def test_a_second_server_on_the_port_is_refused(config: configuration.Config) -> None:
    async with server_process.serving(config) as (_, endpoint):
        second = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "modelkeep", "serve"],
            env=server_process.environ_of(config, endpoint),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert f"cannot listen on {endpoint}" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("service", ["registry", "artifact"])
async def test_services_can_be_served_apart(config: configuration.Config, service: str) -> None:
    chosen = dataclasses.replace(config, services=frozenset({service}))
    async with (
        app.running(chosen) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        stubs = wire.Stubs.over(channel)
        calls = {
            "registry": stubs.registry.ListNamespaces(registry.ListNamespacesRequest()),
            "artifact": stubs.artifact.GetCapabilities(pb.GetCapabilitiesRequest()),
        }
        await calls.pop(service)
        failure = await wire.failing(calls.popitem()[1])
        assert failure.code is grpc.StatusCode.UNIMPLEMENTED
