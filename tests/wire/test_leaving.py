"""Models that move to another namespace: all that is theirs goes with them, nothing else does."""

import asyncio
from typing import Any

import asyncpg
import grpc
from support import wire

from modelkeep.v1 import registry_service_pb2 as pb


async def elsewhere(stubs: wire.Stubs, *versions: str) -> str:
    """Another namespace, in which a prompt like ours is already, and so its bytes."""
    model = await stubs.new_model()
    await stubs.ready(model)
    return model.rpartition("/models/")[0]


async def move(stubs: wire.Stubs, name: str, destination: str, **fields: Any) -> pb.Model:
    request = pb.MoveModelRequest(name=name, destination=destination, **fields)
    return (await stubs.registry.MoveModel(request)).model


async def rows(url: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def test_a_model_moves_with_its_versions_and_answers_by_both_names(
    stubs: wire.Stubs, database_url: str
) -> None:
    old = await stubs.new_model()
    sealed = await stubs.ready(old)
    await stubs.ready(old, "1.1.0")
    await stubs.stage(f"{old}/versions/1.0.0", "staging", "production")
    await stubs.alias(sealed.name, "champion")
    new = f"{await elsewhere(stubs)}/models/voice"
    moved = await move(stubs, old, new)
    assert moved.name == new
    for name in (old, new):
        found = await stubs.registry.GetVersion(pb.GetVersionRequest(name=f"{name}/versions/1.0.0"))
        assert found.version.name == f"{new}/versions/1.0.0"
        assert await stubs.resolve(name, "champion") == "1.0.0"
        assert await stubs.resolve(name, "production") == "1.0.0"
    left = "SELECT count(*) FROM version_file f JOIN version v USING (version_id) WHERE f.namespace_id <> v.namespace_id"
    assert (await rows(database_url, left))[0][0] == 0
    counted = "SELECT * FROM namespace_usage EXCEPT SELECT * FROM namespace_usage_counted"
    assert (
        await rows(
            database_url,
            counted.replace(
                "SELECT *",
                "SELECT namespace_id, stored_bytes, reserved_bytes, logical_bytes, open_uploads",
            ),
        )
        == []
    )
