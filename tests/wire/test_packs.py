"""Packs on the real store: a byte that rots inside one, servers killed at bad moments."""

import asyncio
import contextlib
import dataclasses
import datetime
import functools
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from support import cutting_proxy, rotting, server_process, services

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.blobs import s3 as s3_blobs
from modelkeep.blobs import s3_connection
from modelkeep.service import reaping, scrub
from modelkeep.storage import database

FILES = {f"part-{n}.bin": random.Random(n).randbytes(3000 + n) for n in range(6)}
REF = "acme/voice@1.0.0"
LONG_AGO = "UPDATE blob SET touched_at = now() - interval '30 days'"


@pytest.fixture
async def endpoint(
    config: configuration.Config, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """A server whose scrub looks often; what it takes is what somebody met, the rest is young."""
    eager = functools.partial(scrub.Settings, idle_s=0.02)
    monkeypatch.setattr(scrub, "Settings", eager)
    async with app.running(config) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    for path, content in FILES.items():
        (made / path).write_bytes(content)
    return made


def keys_in(objects: services.S3, bucket: str) -> list[str]:
    return [str(e.object_name) for e in objects.client().list_objects(bucket, recursive=True)]


async def test_a_byte_that_rots_in_a_pack_costs_the_file_it_is_in_until_that_is_pushed_again(
    endpoint: str, folder: Path, tmp_path: Path, s3: services.S3, bucket: str
) -> None:
    wrong, fine = "part-3.bin", "part-2.bin"
    async with client.connect(endpoint) as registry:
        version = (await registry.push(folder, REF)).version
        (pack,) = keys_in(s3, bucket)
        rotting.flip_inside(s3, bucket, FILES[wrong], 1234)
        with pytest.raises(client.DataLoss) as caught:
            await registry.pull(REF, tmp_path / "copy")
        assert caught.value.metadata["path"] == wrong
        assert caught.value.metadata["offset"] == "0"
        assert caught.value.metadata["length"] == str(len(FILES[wrong]))
        assert pack not in str(caught.value)
        assert await registry.read_file(version.ref, fine) == FILES[fine]
        found = {told.path: told async for told in registry.verify_version(version.ref)}
        assert found.keys() == FILES.keys()
        assert [path for path, told in found.items() if not told.is_ok] == [wrong]
        async with asyncio.timeout(30):
            while (  # noqa: ASYNC110 - nobody signals it
                await registry.get_version(version.ref)
            ).state is client.VersionState.READY:
                await asyncio.sleep(0.02)
        again = await registry.push(folder, REF)
        assert again.sent_bytes == len(FILES[wrong])
        assert len(keys_in(s3, bucket)) == 2
        assert [told async for told in registry.verify_version(version.ref) if told.detail] == []
        await registry.release_version(version.ref, reason="repaired")
        await registry.pull(REF, tmp_path / "whole")
    assert {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()} == FILES


@contextlib.asynccontextmanager
async def reaper(config: configuration.Config) -> AsyncIterator[reaping.Reaper]:
    """One without patience."""
    db = await database.Database.open(config.database_url, 2)
    store = s3_blobs.S3BlobStore(
        s3_connection.S3Settings(
            endpoint=config.s3_endpoint,
            access_key=config.s3_access_key,
            secret_key=config.s3_secret_key,
            bucket=config.s3_bucket,
            secure=False,
        )
    )
    yield reaping.Reaper(db, store, reaping.Settings(orphan_grace=datetime.timedelta(0)))
    await store.close()
    await db.close()


async def until_there_are(objects: int, s3: services.S3, bucket: str) -> None:
    async with asyncio.timeout(60):
        while len(keys_in(s3, bucket)) != objects:  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.02)


async def test_a_server_killed_between_object_and_commit_leaves_an_orphan_and_no_blob(
    config: configuration.Config, folder: Path, tmp_path: Path, s3: services.S3, bucket: str
) -> None:
    keeper = await asyncpg.connect(config.database_url)
    async with (
        server_process.serving(config) as (process, address),
        keeper.transaction(),
        client.connect(address) as registry,
    ):
        await keeper.execute("LOCK TABLE pack IN ACCESS EXCLUSIVE MODE")
        push = asyncio.create_task(registry.push(folder, REF))
        await until_there_are(1, s3, bucket)
        process.kill()
        await process.wait()
        push.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await push
    assert await keeper.fetchval("SELECT count(*) FROM blob") == 0
    await keeper.close()
    async with reaper(config) as reaping_it:
        assert (await reaping_it.round()).objects == 1
    assert keys_in(s3, bucket) == []
    async with server_process.serving(config) as (_, address), client.connect(address) as registry:
        await registry.push(folder, REF)
        await registry.pull(REF, tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == FILES


async def test_a_server_killed_between_rows_and_object_leaves_what_the_reaper_finds(
    config: configuration.Config, s3: services.S3, bucket: str
) -> None:
    blobs = [(f"sha256:{hashlib.sha256(body).hexdigest()}", body) for body in FILES.values()]
    async with cutting_proxy.running(config.s3_endpoint) as proxy:
        through = dataclasses.replace(config, s3_endpoint=proxy.endpoint)
        async with (
            server_process.serving(through) as (process, address),
            client.connect(address) as registry,
        ):
            await registry.create_namespace("acme")
            await registry.write_blobs("acme", blobs)
            await services.execute(config.database_url, LONG_AGO)
            proxy.hold_after(1)
            collecting = asyncio.create_task(_collected(registry))
            await until_no_blob(config)
            process.kill()
            await process.wait()
            collecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await collecting
    assert len(keys_in(s3, bucket)) == 1
    async with reaper(config) as reaping_it:
        assert (await reaping_it.round()).objects == 1
    assert keys_in(s3, bucket) == []


async def _collected(registry: client.Registry) -> int:
    return sum([blob.freed_bytes async for blob in registry.collect_garbage("acme")])


async def until_no_blob(config: configuration.Config) -> None:
    looking = await asyncpg.connect(config.database_url)
    async with asyncio.timeout(60):
        while await looking.fetchval("SELECT count(*) FROM blob"):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
    await looking.close()
