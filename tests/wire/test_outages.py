"""Bad days: the database or the store goes away under a running server, and comes back."""

from collections.abc import AsyncIterator

import grpc
import pytest
from support import deployments, wire

from modelkeep import app
from modelkeep.v1 import artifact_service_pb2 as artifact
from modelkeep.v1 import registry_service_pb2 as pb

DEADLINE_S = 8.0


@pytest.fixture
async def deployment() -> AsyncIterator[deployments.Deployment]:
    async with deployments.running() as parts:
        yield parts


@pytest.fixture
async def stubs(deployment: deployments.Deployment) -> AsyncIterator[wire.Stubs]:
    async with (
        app.running(deployment.config()) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        yield wire.Stubs.over(channel)


async def unavailable(call: object) -> None:
    """The call fails with UNAVAILABLE, not at its deadline, saying what to do."""
    failure = await wire.failing(call)
    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.reason


@pytest.mark.slow
async def test_the_database_killed_is_unavailable_and_its_return_needs_no_restart(
    deployment: deployments.Deployment, stubs: wire.Stubs
) -> None:
    model = await stubs.new_model()
    await deployments.kill(deployment.postgres)
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
    deployment: deployments.Deployment, stubs: wire.Stubs
) -> None:
    model = await stubs.new_model()
    with deployments.frozen(deployment.postgres):
        failure = await wire.failing(
            stubs.registry.GetModel(pb.GetModelRequest(name=model), timeout=2)
        )
        assert failure.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert (await stubs.registry.GetModel(pb.GetModelRequest(name=model))).model.name == model


@pytest.mark.slow
async def test_the_store_killed_is_unavailable_and_its_return_needs_no_restart(
    deployment: deployments.Deployment, stubs: wire.Stubs
) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    listed = await stubs.registry.ListFiles(pb.ListFilesRequest(parent=version.name))
    blob = f"{model.partition('/models/')[0]}/blobs/{listed.files[0].digest}"
    await deployments.kill(deployment.store)

    async def read() -> bytes:
        request = artifact.ReadBlobRequest(name=blob)
        stream = stubs.artifact.ReadBlob(request, timeout=DEADLINE_S)
        return b"".join([chunk.data async for chunk in stream])

    await unavailable(read())
    got = await stubs.registry.GetVersion(pb.GetVersionRequest(name=version.name))
    assert got.version.name == version.name, "what needs no store still works"
    await deployment.store.start()
    assert len(await read()) == listed.files[0].size_bytes
