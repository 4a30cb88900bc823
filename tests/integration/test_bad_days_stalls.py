"""Clients that begin parts and then say nothing, on a real server."""

import asyncio
import dataclasses
import hashlib
import itertools
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
MEMORY_MIB, FAST_MIB = 64, 128
AHEAD_MIB = 5
"""What a stream has in memory and in its window when the store stands still, 3 at most so far."""
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


class Flood:
    """Streams that send as fast as they are taken."""

    def __init__(self, endpoint: str, names: list[str]) -> None:
        self.taken_mib = 0
        self._tasks = [asyncio.create_task(self._send(endpoint, name)) for name in names]

    async def until_still(self) -> None:
        """Return once a second has passed in which nothing was taken."""
        seen = -1
        async with asyncio.timeout(60):
            while seen < self.taken_mib:
                seen = self.taken_mib
                await asyncio.wait(self._tasks, timeout=1)

    async def end(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _send(self, endpoint: str, name: str) -> None:
        async with grpc.aio.insecure_channel(endpoint) as channel:
            stream = wire.Stubs.over(channel).artifact.WriteUpload()
            for offset in itertools.count(0, MIB):
                await stream.write(pb.WriteUploadRequest(name=name, offset=offset, data=bytes(MIB)))
                self.taken_mib += 1


async def test_a_store_that_stands_still_stops_fast_clients(config: configuration.Config) -> None:
    streams = 16
    async with (
        cutting_proxy.running(config.s3_endpoint) as store,
        server_process.watched(
            dataclasses.replace(config, s3_endpoint=store.endpoint),
            MODELKEEP_UPLOAD_MEMORY_MIB=str(MEMORY_MIB),
        ) as server,
        grpc.aio.insecure_channel(server.endpoint) as channel,
        client.connect(server.endpoint) as registry,
    ):
        await registry.create_namespace("acme")
        names = [
            await start_upload(wire.Stubs.over(channel), f"sha256:{number:064x}", 1024 * MIB)
            for number in range(streams)
        ]
        store.hold_after(FAST_MIB * MIB)
        flood = Flood(server.endpoint, names)
        await store.until_held()
        store.stand_still()
        await flood.until_still()
        taken_mib = flood.taken_mib
        await flood.end()
    assert FAST_MIB < taken_mib <= FAST_MIB + streams * AHEAD_MIB


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
