"""The embedded services, each by itself."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from support import services

from modelkeep.local import postgres as embedded
from modelkeep.local import seaweed


@pytest.fixture
def data() -> Iterator[Path]:
    with services.scratch_directory() as path:
        yield path


async def test_each_test_has_an_empty_database_of_its_own(empty_database_url: str) -> None:
    await services.execute(empty_database_url, "CREATE TABLE mine (n int)")
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT count(*) FROM mine") == 0
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    await connection.close()


async def test_postgres_refuses_a_wrong_password(postgres: embedded.Postgres) -> None:
    wrong = postgres.url.replace(postgres.url.split(":")[2].split("@")[0], "guess")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


async def test_the_bucket_stores_and_gives_back(s3: services.S3, bucket: str) -> None:
    client = s3.client()
    client.fput_object(bucket, "here", __file__)
    assert client.stat_object(bucket, "here").size > 0


async def test_the_services_listen_on_loopback_only(data: Path) -> None:
    database, store = embedded.Postgres(data), seaweed.SeaweedFS(data)
    await database.start()
    await store.start()
    try:
        for running in (database, store):
            listening = [
                connection.laddr.ip
                for connection in psutil.Process(running.child.pid).net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            ]
            assert set(listening) == {"127.0.0.1"}
    finally:
        await store.stop()
        await database.stop()
