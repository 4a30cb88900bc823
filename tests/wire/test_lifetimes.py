"""Deleted versions that are purged: what goes, what stays, and that nothing leads back."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc
import pytest
from support import wire, wire_uploads

from modelkeep.v1 import registry_service_pb2 as pb


async def execute(url: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def deleted(stubs: wire.Stubs, model: str, version: str = "1.0.0") -> pb.Version:
    sealed = await stubs.ready(model, version)
    answer = await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=sealed.name))
    return answer.version


async def purge(stubs: wire.Stubs, name: str, **fields: Any) -> pb.Version:
    answer = await stubs.registry.PurgeVersion(pb.PurgeVersionRequest(name=name, **fields))
    return answer.version


async def test_a_deleted_version_says_when_it_will_be_purged(stubs: wire.Stubs) -> None:
    gone = await deleted(stubs, await stubs.new_model())
    left = gone.purge_time.ToDatetime() - gone.delete_time.ToDatetime()
    assert left == datetime.timedelta(days=30)
    restored = await stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=gone.name))
    assert not restored.version.HasField("purge_time")


async def test_a_purged_version_keeps_its_identity_and_nothing_else(stubs: wire.Stubs) -> None:
    gone = await deleted(stubs, await stubs.new_model())
    purged = await purge(stubs, gone.name)
    assert purged.state == pb.VERSION_STATE_PURGED
    assert (purged.ordinal, purged.manifest_digest) == (gone.ordinal, gone.manifest_digest)
    assert purged.creator == gone.creator
    assert not purged.HasField("prompt")
    got = await stubs.registry.GetVersion(pb.GetVersionRequest(name=gone.name))
    assert got.version == purged


async def test_what_is_not_deleted_is_not_purged(stubs: wire.Stubs) -> None:
    sealed = await stubs.ready(await stubs.new_model())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await purge(stubs, sealed.name)
    failure = wire.failure_of(caught.value)
    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == "VERSION_NOT_DELETED"


async def restore(stubs: wire.Stubs, gone: pb.Version) -> None:
    await stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=gone.name))


async def update(stubs: wire.Stubs, gone: pb.Version) -> None:
    request = pb.UpdateVersionRequest(version=pb.Version(name=gone.name, card="x"))
    request.update_mask.paths.append("card")
    await stubs.registry.UpdateVersion(request)


async def point(stubs: wire.Stubs, gone: pb.Version) -> None:
    await stubs.alias(gone.name, "champion")


async def create_again(stubs: wire.Stubs, gone: pb.Version) -> None:
    await stubs.draft(gone.name.rpartition("/versions/")[0])


@pytest.mark.parametrize("revive", [restore, update, point, create_again])
async def test_nothing_brings_a_purged_version_back(
    stubs: wire.Stubs, revive: Callable[[wire.Stubs, pb.Version], Awaitable[None]]
) -> None:
    gone = await purge(stubs, (await deleted(stubs, await stubs.new_model())).name)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await revive(stubs, gone)
    expected = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ALREADY_EXISTS}
    assert caught.value.code() in expected


async def test_an_ordinal_is_not_reused_after_a_purge(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    gone = await purge(stubs, (await deleted(stubs, model)).name)
    assert (await stubs.draft(model, "2.0.0")).ordinal == gone.ordinal + 1


async def test_purging_twice_is_the_same_as_once(stubs: wire.Stubs) -> None:
    gone = await deleted(stubs, await stubs.new_model())
    first = await purge(stubs, gone.name, request_id="once")
    assert await purge(stubs, gone.name, request_id="once") == first
    assert await purge(stubs, gone.name) == first


async def test_the_files_of_a_purged_version_go_and_their_blobs_become_garbage(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    namespace = model.rpartition("/models/")[0]
    blob = await wire_uploads.push(stubs, namespace, b"some weights")
    name = f"{model}/versions/1.0.0"
    await stubs.registry.CreateVersion(pb.CreateVersionRequest(parent=model, version_id="1.0.0"))
    file = pb.File(path="w.bin", digest=blob.digest, size_bytes=12)
    await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=name, files=[file]))
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=name))
    await purge(stubs, name)
    listed = await stubs.registry.ListFiles(pb.ListFilesRequest(parent=name))
    assert not listed.files
    left = await execute(
        database_url,
        """SELECT 1 FROM version_file f JOIN version v USING (version_id)
        WHERE v.state = 'purged'""",
    )
    assert left == []


async def test_of_a_purge_and_a_restore_at_once_one_wins(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    for n in range(10):
        gone = await deleted(stubs, model, f"1.{n}.0")

        async def attempt(call: Any) -> str:
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        outcomes = await asyncio.gather(
            attempt(purge(stubs, gone.name)),
            attempt(stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=gone.name))),
        )
        assert sorted(outcomes) == ["FAILED_PRECONDITION", "OK"]


async def test_the_database_itself_refuses_to_revive_or_purge_what_lives(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    sealed = await stubs.ready(model, "2.0.0")
    gone = await purge(stubs, (await deleted(stubs, model)).name)
    revive = "UPDATE version SET state = 'ready', purged_at = NULL, deleted_at = NULL, "
    revive += "deleted_from = NULL WHERE ordinal = $1 AND state = 'purged'"
    drop = "UPDATE version SET state = 'purged', purged_at = now(), deleted_at = now(), "
    drop += "deleted_from = 'ready' WHERE ordinal = $1 AND state = 'ready'"
    for statement, ordinal in ((revive, gone.ordinal), (drop, sealed.ordinal)):
        with pytest.raises(asyncpg.CheckViolationError) as caught:
            await execute(database_url, statement, ordinal)
        assert caught.value.constraint_name == "version_purged"


async def test_what_was_in_production_then_is_told_after_its_purge(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    sealed = await stubs.ready(model)
    await stubs.stage(sealed.name, "staging", "production")
    then = datetime.datetime.now(datetime.UTC)
    await stubs.stage(sealed.name, "archived")
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=sealed.name))
    await purge(stubs, sealed.name)
    request = pb.ResolveVersionRequest(ref=model.split("/")[1] + "/m@production")
    request.as_of.FromDatetime(then)
    answer = await stubs.registry.ResolveVersion(request)
    assert answer.version.name == sealed.name
    assert answer.version.state == pb.VERSION_STATE_PURGED
