"""Moves to other namespaces on bad days: killed servers, stores that are away, rotten bytes."""

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import minio
import pytest
from support import leaving, server_process, wire, wire_uploads

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.blobs import s3
from modelkeep.domain import errors
from modelkeep.storage import rehoming

LARGE = 12
VOICE = {"model.bin": bytes(3 << 20), "a.json": b"{}", "b.json": b"[]"}
_COLLECTABLE = "UPDATE blob SET touched_at = now() - interval '30 days'"
_WITH_NAMESPACE = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
AND a.attname = 'namespace_id' AND NOT a.attisdropped"""
_PRESENT = """
SELECT count(*) FROM blob JOIN namespace USING (namespace_id) WHERE 'namespaces/' || name = $1"""


async def test_of_every_table_it_is_decided_whether_its_rows_follow_a_model(
    database_url: str,
) -> None:
    found = {row[0] for row in await leaving.rows(database_url, _WITH_NAMESPACE)}
    assert found == rehoming.FOLLOWS | rehoming.STAYS.keys()
    assert not rehoming.FOLLOWS & rehoming.STAYS.keys()


@contextlib.asynccontextmanager
async def connected(endpoint: str) -> AsyncIterator[wire.Stubs]:
    async with grpc.aio.insecure_channel(endpoint) as channel:
        yield wire.Stubs.over(channel)


@pytest.fixture
async def stubs(config: configuration.Config) -> AsyncIterator[wire.Stubs]:
    async with app.running(config) as endpoint, connected(endpoint) as stubs:
        yield stubs


async def prepared(stubs: wire.Stubs, seed: int) -> tuple[str, str]:
    """A model with many files, and what it is to be called."""
    version = await leaving.filled(stubs, leaving.some_files(seed, LARGE))
    there = await leaving.namespace(stubs)
    return version.partition("/versions/")[0], f"{there}/models/voice"


async def whole(stubs: wire.Stubs, url: str, seed: int, new: str) -> None:
    """All bytes are there, and all rows."""
    for path, body in leaving.some_files(seed, LARGE).items():
        name = f"{new}/versions/1.0.0/files/{path}"
        assert (await wire_uploads.read(stubs, name))[0] == body
    assert await leaving.strays(url) == {}


async def test_a_copy_goes_on_after_the_server_was_killed(config: configuration.Config) -> None:
    url = config.database_url
    async with server_process.serving(config) as (process, endpoint), connected(endpoint) as stubs:
        old, new = await prepared(stubs, 1)
        copying = asyncio.create_task(leaving.copy(stubs, old, new))
        async with asyncio.timeout(30):  # nobody signals how many have arrived
            while (await leaving.rows(url, _PRESENT, leaving.parent_of(new)))[0][0] < 7:
                pass
        process.kill()
        with pytest.raises(grpc.aio.AioRpcError):
            await copying
    # As if the lease of what it was verifying were over.
    await leaving.rows(url, "UPDATE upload SET verifying_until = '-infinity'")
    present = (await leaving.rows(url, _PRESENT, leaving.parent_of(new)))[0][0]
    assert 7 <= present < LARGE + 5
    async with app.running(config) as endpoint, connected(endpoint) as stubs:
        assert await leaving.outcome(leaving.move(stubs, old, new)) == "BLOBS_MISSING"
        told = await leaving.copy(stubs, old, new)
        assert told[0].present_blobs >= present
        assert told[-1].copied_bytes <= told[0].total_bytes - told[0].present_bytes
        await leaving.move(stubs, old, new)
        await whole(stubs, url, 1, new)


class Away:
    """A store that does not answer for a while: an operation fails so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operation: str, times: int) -> None:
        self.left = times
        self._works = getattr(s3.S3BlobStore, operation)
        # A function, which is bound to the store.
        bound = lambda *of: self._called(*of)  # noqa: E731, PLW0108 - as the comment says
        monkeypatch.setattr(s3.S3BlobStore, operation, bound)

    async def _called(self, *arguments: object) -> AsyncGenerator[object, None]:
        self.left -= 1
        if self.left >= 0:
            raise errors.Unavailable("the store is away")
        async with contextlib.aclosing(self._works(*arguments)) as answers:
            async for answer in answers:
                yield answer


@pytest.mark.parametrize("operation", ["copy", "read"])
async def test_a_store_that_is_away_is_waited_for(
    config: configuration.Config, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    async with app.running(config) as endpoint, connected(endpoint) as stubs:
        old, new = await prepared(stubs, 2)
        away = Away(monkeypatch, operation, 4)
        assert await leaving.outcome(leaving.copy(stubs, old, new)) == "UNAVAILABLE"
        async with client.connect(endpoint) as registry:
            moved = await registry.move_model(short(old), short(new))
        assert moved.ref == short(new)
        assert away.left < 0
        monkeypatch.undo()
        await whole(stubs, config.database_url, 2, new)


def short(name: str) -> str:
    return "/".join(name.split("/")[1::2])


async def spoil(url: str, config: configuration.Config, parent: str, size_bytes: int) -> None:
    """Change a bit of the object that has the blob of this size."""
    find = """SELECT storage_key FROM blob JOIN namespace USING (namespace_id)
        WHERE 'namespaces/' || name = $1 AND size_bytes = $2"""
    ((key,),) = await leaving.rows(url, find, parent, size_bytes)

    store = minio.Minio(
        config.s3_endpoint, config.s3_access_key, config.s3_secret_key, secure=False
    )
    body = bytearray(store.get_object(config.s3_bucket, key).read())
    body[len(body) // 2] ^= 1
    store.put_object(config.s3_bucket, key, io.BytesIO(bytes(body)), len(body))


@pytest.mark.parametrize("size_bytes", [300 << 10, 1002])
async def test_bytes_that_rotted_are_not_taken_along(
    stubs: wire.Stubs, config: configuration.Config, size_bytes: int
) -> None:
    old, new = await prepared(stubs, 3)
    url = config.database_url
    await spoil(url, config, leaving.parent_of(old), size_bytes)
    refused = await wire.failing(leaving.copy(stubs, old, new))
    assert refused.code is grpc.StatusCode.DATA_LOSS
    assert await leaving.outcome(leaving.move(stubs, old, new)) == "BLOBS_MISSING"
    known = """UPDATE blob SET rotten_at = now(), rot = 'test' WHERE size_bytes = $1"""
    await leaving.rows(url, known, size_bytes)
    refused = await wire.failing(leaving.copy(stubs, old, new))
    assert refused.reason == "BLOB_DAMAGED_IN_STORE"
    assert "1.0.0" in refused.message
    (body,) = [one for one in leaving.some_files(3, LARGE).values() if len(one) == size_bytes]
    await wire_uploads.push(stubs, leaving.parent_of(old), body)  # which mends it
    await leaving.relocate(stubs, old, new)
    await whole(stubs, url, 3, new)


async def test_copies_of_one_model_at_once_bring_each_blob_once(
    stubs: wire.Stubs, config: configuration.Config
) -> None:
    old, new = await prepared(stubs, 4)
    told = await asyncio.gather(*(leaving.copy(stubs, old, new) for _ in range(4)))
    assert all(one[-1].present_blobs == one[-1].blobs == LARGE + 5 for one in told)
    await leaving.move(stubs, old, new)
    await whole(stubs, config.database_url, 4, new)
    uploads = "SELECT state, count(*) FROM upload GROUP BY state"
    assert dict(await leaving.rows(config.database_url, uploads)).keys() == {"committed"}


async def test_the_database_refuses_rows_that_do_not_follow_their_model(
    stubs: wire.Stubs, database_url: str
) -> None:
    """Whoever runs the statement; and a row that follows may change in nothing else."""
    version = await leaving.filled(stubs, leaving.some_files(5, 0))
    there = await leaving.namespace(stubs)
    home = f"(SELECT namespace_id FROM namespace WHERE 'namespaces/' || name = '{there}')"  # noqa: S608 - ours
    connection = await asyncpg.connect(database_url)
    for statement in (
        "UPDATE version SET namespace_id = ",
        "UPDATE version_file SET namespace_id = ",
        "UPDATE version SET content = '{}', namespace_id = ",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(statement + home)
    await connection.close()
    assert (await wire_uploads.read(stubs, f"{version}/files/small/0"))[0]


async def test_people_move_a_model_by_one_command(
    config: configuration.Config, tmp_path: Path
) -> None:
    for name in ("research", "platform"):
        async with app.running(config) as endpoint, client.connect(endpoint) as registry:
            await registry.create_namespace(name)
            if name == "research":
                (tmp_path / "voice").mkdir()
                for path, body in VOICE.items():
                    (tmp_path / "voice" / path).write_bytes(body)
                await registry.push(tmp_path / "voice", "research/voice@1.0.0")
    async with app.running(config) as endpoint:
        said = await mv(endpoint, "research/voice", "platform/voice")
        assert said[0] == 0
        assert "research/voice is platform/voice now" in said[1]
        assert "copying 3 files" in said[2]
        await leaving.rows(config.database_url, _COLLECTABLE)
        async with client.connect(endpoint) as registry:
            found = await registry.resolve("research/voice@1.0.0")
            assert found.ref == "platform/voice@1.0.0"
            assert len([one async for one in registry.collect_garbage("research")]) == 3
            await registry.pull("research/voice@1.0.0", tmp_path / "copy")
            (tmp_path / "voice" / "a.json").write_bytes(b"{ }")
            pushed = await registry.push(tmp_path / "voice", "research/voice@1.1.0")
            assert pushed.version.ref == "platform/voice@1.1.0"
            assert pushed.sent_bytes == 3
        again = await mv(endpoint, "research/voice", "platform/voice")
        assert again[0] == 0
        refused = await mv(endpoint, "platform/voice", "nowhere/voice")
        assert refused[0] != 0
        assert "nowhere" in refused[2]
    for path, body in VOICE.items():
        assert (tmp_path / "copy" / path).read_bytes() == body


async def mv(endpoint: str, *words: str) -> tuple[int, str, str]:
    """What `modelkeep mv` ended with and said."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", "mv", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "MODELKEEP_ENDPOINT": endpoint},
    )
    said, told = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(), told.decode()
