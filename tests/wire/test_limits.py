"""Limits over the wire: what is refused and how, and who sends or reads too slowly."""

import asyncio
import contextlib
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import google_crc32c
import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from support import server_process, wire, wire_uploads

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.client import errors as client_errors
from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import event_service_pb2 as event_pb
from modelkeep.v1 import registry_service_pb2 as pb

MIB = 2**20
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@contextlib.asynccontextmanager
async def serving(config: configuration.Config, **limits: Any) -> AsyncIterator[wire.Stubs]:
    async with (
        app.running(dataclasses.replace(config, **limits)) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        yield wire.Stubs.over(channel)


@contextlib.asynccontextmanager
async def watching(stubs: wire.Stubs, parent: str) -> AsyncIterator[Any]:
    stream = stubs.events.Watch(event_pb.WatchRequest(parent=parent))
    try:
        await stream.read()
        yield stream
    finally:
        stream.cancel()


async def refused_watch(stubs: wire.Stubs, parent: str) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async with watching(stubs, parent):
            pass
    return raised.value


def retry_of(error: grpc.aio.AioRpcError) -> duration_pb2.Duration:
    (details,) = (
        value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"
    )
    for packed in status_pb2.Status.FromString(details).details:
        if packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            return error_details_pb2.RetryInfo.FromString(packed.value).retry_delay
    raise AssertionError("no RetryInfo")


async def test_a_stream_too_many_is_refused_and_its_place_is_free_again(
    config: configuration.Config,
) -> None:
    async with serving(config, limit_watches_at_once=2) as stubs:
        parent = (await stubs.new_model()).partition("/models/")[0]
        async with watching(stubs, parent), watching(stubs, parent):
            error = await refused_watch(stubs, parent)
            told = wire.failure_of(error)
            assert (told.code, told.reason) == (EXHAUSTED, "THROTTLED")
            assert told.metadata == {"limit": "watches_at_once", "allowed": "2"}
            assert retry_of(error).ToMilliseconds() > 0
        for _ in range(300):
            with contextlib.suppress(grpc.aio.AioRpcError):
                async with watching(stubs, parent):
                    break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the places were not given back")


async def test_streams_of_one_connection_are_limited_and_small_calls_are_not(
    config: configuration.Config,
) -> None:
    async with serving(config, limit_streams_per_connection=1) as stubs:
        model = await stubs.new_model()
        parent = model.partition("/models/")[0]
        async with watching(stubs, parent):
            error = await refused_watch(stubs, parent)
            assert wire.failure_of(error).metadata["limit"] == "streams_per_connection"
            for _ in range(5):
                await stubs.registry.GetModel(pb.GetModelRequest(name=model))


async def test_a_principal_that_is_too_fast_is_told_when_to_come_again(
    config: configuration.Config,
) -> None:
    async with serving(config, limit_small_calls_per_s=1) as stubs:
        failures = []
        for _ in range(20):
            try:
                await stubs.registry.ListNamespaces(pb.ListNamespacesRequest())
            except grpc.aio.AioRpcError as error:
                failures.append(error)
        assert failures
        told = wire.failure_of(failures[0])
        assert told.metadata == {"limit": "small_calls_per_s", "allowed": "1"}
        assert 0 < retry_of(failures[0]).ToMilliseconds() <= 1000
        assert "try again" in told.message


async def test_the_client_waits_as_long_as_it_is_told_and_then_succeeds(
    config: configuration.Config,
) -> None:
    limited = dataclasses.replace(config, limit_small_calls_per_s=20)
    async with app.running(limited) as endpoint, client.connect(endpoint) as registry:
        for _ in range(60):  # a burst of 40 goes through at once
            assert [one async for one in registry.list_namespaces()] == []
    limited = dataclasses.replace(config, limit_small_calls_per_s=1)
    async with (
        app.running(limited) as endpoint,
        client.connect(endpoint, timeout_s=0.2) as registry,
    ):

        async def hurry() -> None:
            for _ in range(60):
                assert [one async for one in registry.list_namespaces()] == []

        with pytest.raises(client_errors.LimitReached) as raised:
            await hurry()
        assert raised.value.reason == "THROTTLED"
        assert raised.value.retry_after_s > 0


async def test_a_watch_that_is_refused_goes_on_when_there_is_room(
    config: configuration.Config,
) -> None:
    limited = dataclasses.replace(config, limit_watches_at_once=1)
    async with app.running(limited) as endpoint, client.connect(endpoint) as registry:
        await registry.create_namespace("acme")
        first, second = (registry.watch("acme", after_sequence=0) for _ in range(2))
        assert (await anext(first)).sequence == 1
        waiting = asyncio.create_task(anext(second))
        await asyncio.sleep(0)
        await first.aclose()
        async with asyncio.timeout(30):
            assert (await waiting).sequence == 1
        await second.aclose()


async def test_a_deadline_longer_than_the_cap_is_cut(config: configuration.Config) -> None:
    """A call that hangs on the database ends by our clock, whatever its caller was ready for."""
    async with serving(config, limit_deadline_s=1) as stubs:
        model = await stubs.new_model()
        connection = await wire_connection(config)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE model IN ACCESS EXCLUSIVE MODE")
                call = stubs.registry.GetModel(pb.GetModelRequest(name=model), timeout=100_000)
                failure = await wire.failing(call)
        finally:
            await connection.close()
        assert failure.code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
        await stubs.registry.GetModel(pb.GetModelRequest(name=model))


async def wire_connection(config: configuration.Config) -> Any:
    import asyncpg  # noqa: PLC0415 - only here

    return await asyncpg.connect(config.database_url)


async def test_an_upload_that_trickles_is_ended_and_its_memory_freed(
    config: configuration.Config,
) -> None:
    """Bytes keep coming, so it is never idle; it is too slow all the same."""
    content = b"x" * (17 * MIB)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    limits = {"upload_stall_s": 1, "limit_upload_kib_per_s": 64, "upload_memory_mib": 16}
    async with serving(config, **limits) as stubs:
        parent = (await stubs.new_model()).partition("/models/")[0]
        answer = await stubs.artifact.StartUpload(
            artifact_pb.StartUploadRequest(parent=parent, digest=digest, size_bytes=len(content))
        )
        name = answer.upload.name

        async def trickle() -> AsyncIterator[artifact_pb.WriteUploadRequest]:
            for offset in range(100_000):
                data = content[offset : offset + 1]
                yield artifact_pb.WriteUploadRequest(
                    name=name, offset=offset, data=data, crc32c=google_crc32c.value(data)
                )
                await asyncio.sleep(0.05)

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in stubs.artifact.WriteUpload(trickle()):
                pass
        told = wire.failure_of(raised.value)
        assert (told.code.name, told.reason) == ("UNAVAILABLE", "STREAM_SLOW")
        # All memory for parts is one part: the next upload gets it.
        other = b"y" * (16 * MIB)
        upload = await wire_uploads.start(stubs, parent, other)
        await wire_uploads.write(stubs, wire_uploads.messages_of(upload.name, other))


async def test_a_reader_that_reads_nothing_is_given_up(config: configuration.Config) -> None:
    """The store's connection and the buffers are freed; the client hears of it when it reads."""
    content = b"z" * (40 * MIB)
    async with serving(config, limit_reader_stall_s=1) as stubs:
        parent = (await stubs.new_model()).partition("/models/")[0]
        await wire_uploads.push(stubs, parent, content)
        name = f"{parent}/blobs/{wire_uploads.digest_of(content)}"
        stream = stubs.artifact.ReadBlob(artifact_pb.ReadBlobRequest(name=name))
        await stream.read()
        await asyncio.sleep(4)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await read_to_end(stream)
        told = wire.failure_of(raised.value)
        assert (told.code.name, told.reason) == ("UNAVAILABLE", "READER_STALLED")


async def read_to_end(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


@pytest.mark.slow
async def test_connections_that_say_nothing_or_are_too_many_are_closed(
    config: configuration.Config,
) -> None:
    async with server_process.watched(
        config, MODELKEEP_LIMIT_CONNECTIONS="20", MODELKEEP_LIMIT_RUNNING_CALLS="1"
    ) as server:
        host, _, port = server.endpoint.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
        try:
            ends = [asyncio.create_task(end_of(reader)) for reader, _ in silent]
            async with asyncio.timeout(90):
                await asyncio.gather(*ends)  # the first 20 after the handshake's time is over
        finally:
            for _, writer in silent:
                writer.close()
        async with grpc.aio.insecure_channel(server.endpoint) as channel:
            stubs = wire.Stubs.over(channel)
            parent = (await stubs.new_model()).partition("/models/")[0]
            async with watching(stubs, parent):
                failure = await wire.failing(
                    stubs.registry.ListNamespaces(pb.ListNamespacesRequest())
                )
                assert failure.metadata == {"limit": "running_calls", "allowed": "1"}
        refused = await server.figure("modelkeep_rpc_over_limit_total", limit="running_calls")
        assert refused == 1


async def end_of(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1000):
            pass
