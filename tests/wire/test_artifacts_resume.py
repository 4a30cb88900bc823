"""Uploads across cut lines, draining servers and killed processes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from support import server_process, wire, wire_uploads

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.domain import limits
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2

MIB = wire_uploads.MIB
PART = limits.MIN_PART_BYTES
ACME = "namespaces/acme"
CONTENT = random.Random(7).randbytes(2 * PART + 3 * MIB + 5)


@contextlib.asynccontextmanager
async def connected(endpoint: str) -> AsyncIterator[wire.Stubs]:
    async with grpc.aio.insecure_channel(endpoint) as channel:
        yield wire.Stubs.over(channel)


async def make_namespace(stubs: wire.Stubs) -> None:
    await stubs.registry.CreateNamespace(
        registry_service_pb2.CreateNamespaceRequest(namespace_id="acme")
    )


async def ended(call: Any) -> grpc.StatusCode:
    """Read a call to its end; its status."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    return await call.code()


async def finish(stubs: wire.Stubs, kept_at_least: int) -> None:
    """Go on with what is durable, and nothing of that again; then read it all back."""
    upload = await wire_uploads.start(stubs, ACME, CONTENT)
    (kept,) = upload.persisted_ranges
    assert kept.start == 0
    assert kept.end >= kept_at_least
    answers = await wire_uploads.write(
        stubs, wire_uploads.messages_of(upload.name, CONTENT, kept.end)
    )
    assert answers[-1].upload.persisted_ranges == [pb.ByteRange(start=0, end=len(CONTENT))]
    state = pb.UPLOAD_STATE_VERIFYING
    while state == pb.UPLOAD_STATE_VERIFYING:
        state = (await wire_uploads.complete(stubs, upload.name)).state
    assert state == pb.UPLOAD_STATE_COMMITTED
    found, _ = await wire_uploads.read(stubs, f"{ACME}/blobs/{wire_uploads.digest_of(CONTENT)}")
    assert found == CONTENT


async def test_another_replica_continues_a_stream_that_was_cut(
    config: configuration.Config,
) -> None:
    async with app.running(config) as one, app.running(config) as two:
        async with connected(one) as stubs:
            await make_namespace(stubs)
            upload = await wire_uploads.start(stubs, ACME, CONTENT)
            messages = wire_uploads.messages_of(upload.name, CONTENT)[:20]
            call = await wire_uploads.write_until(stubs, messages, PART)
            call.cancel()
        async with connected(two) as stubs:
            await finish(stubs, PART)


async def test_a_server_that_drains_ends_streams_at_their_next_part(
    config: configuration.Config,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stopping = await stack.enter_async_context(contextlib.AsyncExitStack())
        one = await stopping.enter_async_context(app.running(config))
        two = await stack.enter_async_context(app.running(config))
        stubs = await stack.enter_async_context(connected(one))
        await make_namespace(stubs)
        upload = await wire_uploads.start(stubs, ACME, CONTENT)
        messages = wire_uploads.messages_of(upload.name, CONTENT)
        call = await wire_uploads.write_until(stubs, messages[:20], PART)
        stopped = asyncio.create_task(stopping.aclose())
        for message in messages[20:32]:  # to the end of the part
            await call.write(message)
        assert await ended(call) is grpc.StatusCode.UNAVAILABLE
        assert "draining" in await call.details()
        await stopped
        await finish(await stack.enter_async_context(connected(two)), 2 * PART)


@pytest.mark.slow
async def test_a_server_killed_in_an_upload_loses_no_durable_part(
    config: configuration.Config,
) -> None:
    async with server_process.serving(config) as (process, one), connected(one) as stubs:
        await make_namespace(stubs)
        upload = await wire_uploads.start(stubs, ACME, CONTENT)
        messages = wire_uploads.messages_of(upload.name, CONTENT)[:20]
        call = await wire_uploads.write_until(stubs, messages, PART)
        process.kill()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
    async with server_process.serving(config) as (_, two), connected(two) as stubs:
        await finish(stubs, PART)
