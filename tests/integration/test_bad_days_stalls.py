"""Clients that begin parts and then say nothing, on a real server."""

import asyncio
import dataclasses
import hashlib
import os
from pathlib import Path

import grpc
import psutil
from support import cutting_proxy, pushing, server_process, wire

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.v1 import artifact_service_pb2 as pb

MIB, PART = pushing.MIB, pushing.PART_BYTES
STALL_S = 2
AHEAD_MIB = 12
"""Of a stream nobody reads: its window, the chunks in both programs' hands and the sockets."""
STALLED = 6
"""More than the memory for parts has room for, which is for 4."""


async def stalled(stubs: wire.Stubs, name: str) -> grpc.aio.StreamStreamCall:
    """A stream that has begun a part and says no more."""
    stream = stubs.artifact.WriteUpload()
    await stream.write(pb.WriteUploadRequest(name=name, offset=0, data=os.urandom(MIB)))
    return stream


async def start_upload(stubs: wire.Stubs, digest: str, size_bytes: int) -> str:
    request = pb.StartUploadRequest(parent="namespaces/acme", digest=digest, size_bytes=size_bytes)
    return str((await stubs.artifact.StartUpload(request)).upload.name)


async def ended(stream: grpc.aio.StreamStreamCall) -> wire.Failure:
    async def read_all() -> None:
        while await stream.read() is not grpc.aio.EOF:
            pass

    return await wire.failing(read_all())


async def flood(endpoint: str, name: str, accepted: dict[str, int]) -> None:
    """Send an upload's bytes as fast as they are taken; count those that were, in MiB."""
    content = bytes(MIB)
    async with grpc.aio.insecure_channel(endpoint) as channel:
        stream = wire.Stubs.over(channel).artifact.WriteUpload()
        while True:
            request = pb.WriteUploadRequest(name=name, offset=accepted[name] * MIB, data=content)
            await stream.write(request)
            accepted[name] += 1


async def test_a_store_that_stands_still_stops_fast_clients(config: configuration.Config) -> None:
    room_mib, streams = 512, 6
    async with (
        cutting_proxy.running(config.s3_endpoint) as store,
        server_process.watched(
            dataclasses.replace(config, s3_endpoint=store.endpoint),
            MODELKEEP_UPLOAD_MEMORY_MIB=str(room_mib),
        ) as server,
        grpc.aio.insecure_channel(server.endpoint) as channel,
        client.connect(server.endpoint) as registry,
    ):
        await registry.create_namespace("acme")
        accepted = {
            await start_upload(wire.Stubs.over(channel), f"sha256:{number:064x}", 1024 * MIB): 0
            for number in range(streams)
        }
        store.hold_after(0)
        floods = [asyncio.create_task(flood(server.endpoint, one, accepted)) for one in accepted]
        async with asyncio.timeout(60):
            while await server.figure("modelkeep_upload_memory_waiting") < streams:
                pass
        await asyncio.wait(floods, timeout=2)  # whatever else is taken, is taken by then
        ahead_mib = sum(accepted.values()) - room_mib
        for one in floods:
            one.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    assert 0 < ahead_mib <= streams * AHEAD_MIB


async def test_stalled_streams_lose_their_memory_and_another_client_goes_on(
    config: configuration.Config, tmp_path: Path
) -> None:
    source = pushing.random_file(tmp_path / "model.bin", 2 * PART)
    async with (
        server_process.watched(config, MODELKEEP_UPLOAD_STALL_S=str(STALL_S)) as server,
        grpc.aio.insecure_channel(server.endpoint) as channel,
        client.connect(server.endpoint) as registry,
    ):
        stubs = wire.Stubs.over(channel)
        await registry.create_namespace("acme")
        digest = f"sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}"
        names = [await start_upload(stubs, digest, 2 * PART)]
        names += [
            await start_upload(stubs, f"sha256:{number:064x}", 2 * PART)
            for number in range(1, STALLED)
        ]
        rss = psutil.Process(server.process.pid).memory_info().rss
        streams = [await stalled(stubs, name) for name in names]
        async with asyncio.timeout(20):
            while not await server.figure("modelkeep_upload_memory_waiting"):
                pass
        assert await server.figure("modelkeep_upload_memory_used_bytes") == 4 * PART
        assert await server.figure("modelkeep_rpc_in_flight", method="WriteUpload") == STALLED
        pushed, *ends = await asyncio.gather(
            registry.push(source, "acme/voice@1.0.0", via=client.Via.SERVER),
            *(ended(stream) for stream in streams),
        )
        grown = psutil.Process(server.process.pid).memory_info().rss - rss
        assert await server.figure("modelkeep_upload_memory_used_bytes") == 0
    assert pushed.version.state is client.VersionState.READY
    assert {end.code for end in ends} == {grpc.StatusCode.UNAVAILABLE}
    assert {end.reason for end in ends} == {"STREAM_IDLE"}
    assert grown < 100 * MIB
