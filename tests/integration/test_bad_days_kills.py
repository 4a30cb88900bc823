"""Servers that are killed: one after the other in one push, and one of two while it verifies."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import google_crc32c
import grpc
import pytest
from support import cutting_proxy, deployments, pushing, server_process, services, wire

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

MIB, PART = pushing.MIB, pushing.PART_BYTES
KILLS = 20
IN_BUFFERS = 8 * MIB
"""What the client has sent and the sockets of a line that is cut had not passed on."""
SLACK = 2 * MIB
"""Frames, acknowledgements and small calls over the whole time."""


class Relay:
    """A server that is worked with and another that stands by, so that a kill costs no start."""

    def __init__(
        self,
        config: configuration.Config,
        proxy: cutting_proxy.CuttingProxy,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._config = config
        self._proxy = proxy
        self._stack = stack
        self._next = asyncio.create_task(self._start())

    async def hand_over(self) -> asyncio.subprocess.Process:
        """Have the one that stands by worked with."""
        process, endpoint = await self._next
        self._next = asyncio.create_task(self._start())
        self._proxy.turn_to(endpoint)
        return process

    async def close(self) -> None:
        await self._next

    async def _start(self) -> tuple[asyncio.subprocess.Process, str]:
        return await self._stack.enter_async_context(server_process.serving(self._config))


def held_before(kill: int) -> int:
    """Bytes that pass until the next kill: before a part is complete, and after, in turn."""
    return PART + 5 * MIB if kill % 2 == 0 else (kill % 13 + 1) * MIB


@pytest.mark.slow
@pytest.mark.timeout(300)  # twenty-one servers start, each a second of processor time or more
async def test_a_push_outlives_twenty_killed_servers_and_sends_no_durable_byte_again(
    config: configuration.Config, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    source = pushing.random_file(tmp_path / "model.bin", 12 * PART + 5 * MIB)
    lost = durable = 0
    async with (
        contextlib.AsyncExitStack() as stack,
        cutting_proxy.running("127.0.0.1:1") as proxy,
        client.connect(proxy.endpoint) as registry,
    ):
        relay = Relay(config, proxy, stack)
        serving = await relay.hand_over()
        proxy.hold_after(held_before(1))
        push = asyncio.create_task(
            registry.push(source, "acme/voice@1.0.0", streams=1, via=client.Via.SERVER)
        )
        passed = 0
        for kill in range(1, KILLS + 1):
            await proxy.until_held()
            if kill % 2 == 0:  # every other time a part gets durable before the end
                await pushing.until_durable(config.database_url, durable + 1)
            serving.kill()
            await serving.wait()
            before, durable = durable, await pushing.durable_parts(config.database_url)
            lost += proxy.passed_bytes - passed - (durable - before) * PART
            passed = proxy.passed_bytes
            if kill < KILLS:
                proxy.hold_after(held_before(kill + 1))
            serving = await relay.hand_over()
        pushed = await push
        passed = proxy.passed_bytes
        await relay.close()
        await registry.pull("acme/voice@1.0.0", tmp_path / "copy")
    size = source.stat().st_size
    record_property("sent_again_bytes", passed - size)
    assert proxy.cuts == KILLS + 1
    assert pushed.version.state is client.VersionState.READY
    assert durable >= KILLS // 2
    # What a dying server had not made durable goes again, and nothing else.
    assert passed - size <= lost + SLACK
    assert lost <= KILLS * PART
    assert pushed.sent_bytes <= passed + KILLS * IN_BUFFERS
    assert (tmp_path / "copy" / "model.bin").read_bytes() == source.read_bytes()


CONTENT = os.urandom(3 * PART + 3 * MIB)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@contextlib.asynccontextmanager
async def replica(
    config: configuration.Config,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, wire.Stubs]]:
    async with (
        server_process.serving(config) as (process, endpoint),
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        yield process, wire.Stubs.over(channel)


async def start_upload(stubs: wire.Stubs) -> str:
    with contextlib.suppress(grpc.aio.AioRpcError):  # another test's
        await stubs.registry.CreateNamespace(
            registry_pb.CreateNamespaceRequest(namespace_id="acme")
        )
    answer = await stubs.artifact.StartUpload(
        pb.StartUploadRequest(parent="namespaces/acme", digest=DIGEST, size_bytes=len(CONTENT))
    )
    return str(answer.upload.name)


async def send(stubs: wire.Stubs, name: str, start: int, end: int) -> None:
    async def requests() -> AsyncIterator[pb.WriteUploadRequest]:
        for offset in range(start, end, MIB):
            chunk = CONTENT[offset : min(offset + MIB, end)]
            crc32c = google_crc32c.value(chunk)
            yield pb.WriteUploadRequest(name=name, offset=offset, crc32c=crc32c, data=chunk)
        yield pb.WriteUploadRequest(name=name, offset=end, finish_stream=True)

    async for _ in stubs.artifact.WriteUpload(requests()):
        pass


async def state_of(stubs: wire.Stubs, name: str) -> "pb.UploadState.ValueType":
    return (await stubs.artifact.GetUpload(pb.GetUploadRequest(name=name))).upload.state


async def until_committed(stubs: wire.Stubs, name: str) -> None:
    async with asyncio.timeout(30):
        while await state_of(stubs, name) == pb.UPLOAD_STATE_VERIFYING:  # noqa: ASYNC110 - unsignalled
            await asyncio.sleep(0.05)
    assert await state_of(stubs, name) == pb.UPLOAD_STATE_COMMITTED


async def read_back(stubs: wire.Stubs) -> bytes:
    request = pb.ReadBlobRequest(name=f"namespaces/acme/blobs/{DIGEST}")
    return b"".join([chunk.data async for chunk in stubs.artifact.ReadBlob(request)])


@pytest.mark.slow
async def test_an_upload_goes_to_and_fro_between_two_servers(
    config: configuration.Config,
) -> None:
    async with replica(config) as (_, one), replica(config) as (_, two):
        name = await start_upload(one)
        await send(one, name, 0, PART)
        assert await start_upload(two) == name
        await asyncio.gather(  # both at once, each from another part
            send(two, name, PART, 2 * PART), send(one, name, 2 * PART, 3 * PART)
        )
        await send(two, name, 3 * PART, len(CONTENT))
        await one.artifact.CompleteUpload(pb.CompleteUploadRequest(name=name))
        await until_committed(two, name)
        assert await read_back(one) == await read_back(two) == CONTENT


@pytest.mark.slow
async def test_a_server_killed_while_it_verifies_is_followed_by_another() -> None:
    async with deployments.running() as deployment:
        config = deployment.config()
        async with replica(config) as (dying, one), replica(config) as (_, two):
            name = await start_upload(one)
            await send(two, name, PART, len(CONTENT))
            await send(one, name, 0, PART)  # the last part first: it must be read back
            with deployments.frozen(deployment.store):
                completing = one.artifact.CompleteUpload(pb.CompleteUploadRequest(name=name))
                await until_leased(config.database_url)
                dying.kill()
                with pytest.raises(grpc.aio.AioRpcError):
                    await completing
                assert await state_of(two, name) == pb.UPLOAD_STATE_VERIFYING
            assert await state_of(two, name) == pb.UPLOAD_STATE_VERIFYING, "the lease holds"
            await services.execute(
                config.database_url, "UPDATE upload SET verifying_until = now() - interval '1 s'"
            )
            await until_committed(two, name)
            assert await read_back(two) == CONTENT


_LEASED = "SELECT count(*) FROM upload WHERE verifying_until > now()"


async def until_leased(database_url: str) -> None:
    """Wait until somebody verifies; nobody signals that."""
    async with asyncio.timeout(20):
        while not await services.fetch_value(database_url, _LEASED):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
