"""Bad days: the database or the store goes away under a running server, and comes back."""

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psutil
import pytest
from support import services, wire

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.local import postgres, seaweed
from modelkeep.storage import migrations
from modelkeep.v1 import artifact_service_pb2 as artifact
from modelkeep.v1 import registry_service_pb2 as pb

DEADLINE_S = 8.0


class Deployment:
    """A server over a database and a store that a test may kill."""

    def __init__(self, data: Path) -> None:
        for part in ("pg", "s3"):
            (data / part).mkdir()
        self.postgres = postgres.Postgres(data / "pg")
        self.store = seaweed.SeaweedFS(data / "s3", volume_size_mib=64, stop_timeout_s=0.5)

    def config(self) -> configuration.Config:
        return configuration.Config(
            database_url=self.postgres.url,
            s3_endpoint=self.store.endpoint,
            s3_access_key=self.store.access_key,
            s3_secret_key=self.store.secret_key,
            s3_secure=False,
            listen="127.0.0.1:0",
        )


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    with services.scratch_directory() as data:
        parts = Deployment(data)
        await parts.postgres.start()
        await parts.store.start()
        try:
            await migrations.migrate(parts.postgres.url)
            yield parts
        finally:
            await parts.store.stop()
            await parts.postgres.stop()


@pytest.fixture
async def stubs(deployment: Deployment) -> AsyncIterator[wire.Stubs]:
    async with (
        app.running(deployment.config()) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        yield wire.Stubs.over(channel)


async def kill(part: postgres.Postgres | seaweed.SeaweedFS) -> None:
    """Kill a part's process and wait until it is gone."""
    assert part.child is not None
    os.kill(part.child.pid, signal.SIGKILL)
    await part.child.wait()


async def unavailable(call: object) -> None:
    """The call fails with UNAVAILABLE, saying what to do, within its deadline."""
    began = time.monotonic()
    failure = await wire.failing(call)
    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.reason
    assert time.monotonic() - began < DEADLINE_S


@pytest.mark.slow
async def test_the_database_killed_is_unavailable_and_its_return_needs_no_restart(
    deployment: Deployment, stubs: wire.Stubs
) -> None:
    model = await stubs.new_model()
    await kill(deployment.postgres)
    read = pb.GetModelRequest(name=model)
    await unavailable(stubs.registry.GetModel(read, timeout=DEADLINE_S))
    await unavailable(
        stubs.registry.CreateNamespace(
            pb.CreateNamespaceRequest(namespace_id="x"), timeout=DEADLINE_S
        )
    )
    await deployment.postgres.start()
    assert (await stubs.registry.GetModel(read)).model.name == model
    assert (await stubs.draft(model)).ordinal == 1


@pytest.mark.slow
async def test_a_database_that_hangs_costs_no_more_than_the_deadline(
    deployment: Deployment, stubs: wire.Stubs
) -> None:
    model = await stubs.new_model()
    assert deployment.postgres.child is not None
    postmaster = psutil.Process(deployment.postgres.child.pid)
    frozen = [postmaster, *postmaster.children(recursive=True)]
    for process in frozen:
        process.suspend()
    try:
        began = time.monotonic()
        failure = await wire.failing(
            stubs.registry.GetModel(pb.GetModelRequest(name=model), timeout=2)
        )
        assert failure.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        assert time.monotonic() - began < 4
    finally:
        for process in frozen:
            process.resume()
    assert (await stubs.registry.GetModel(pb.GetModelRequest(name=model))).model.name == model


@pytest.mark.slow
async def test_the_store_killed_is_unavailable_and_its_return_needs_no_restart(
    deployment: Deployment, stubs: wire.Stubs
) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    listed = await stubs.registry.ListFiles(pb.ListFilesRequest(parent=version.name))
    blob = f"{model.partition('/models/')[0]}/blobs/{listed.files[0].digest}"
    await kill(deployment.store)

    async def read() -> bytes:
        request = artifact.ReadBlobRequest(name=blob)
        stream = stubs.artifact.ReadBlob(request, timeout=DEADLINE_S)
        return b"".join([chunk.data async for chunk in stream])

    await unavailable(read())
    got = await stubs.registry.GetVersion(pb.GetVersionRequest(name=version.name))
    assert got.version.name == version.name, "what needs no store still works"
    await deployment.store.start()
    assert len(await read()) == listed.files[0].size_bytes
