"""The embedded services, each by itself."""

import asyncio
import http.client
import io
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from support import services

from modelkeep.local import ports, seaweed
from modelkeep.local import postgres as embedded


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


async def test_postgres_takes_another_port_when_its_own_is_gone(data: Path) -> None:
    database = embedded.Postgres(data)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        database._port = taken.getsockname()[1]
        await database.start()
        try:
            assert database._port != taken.getsockname()[1]
            await services.execute(database.url, "SELECT 1")
        finally:
            await database.stop()


async def test_the_store_takes_other_ports_when_one_is_gone(data: Path) -> None:
    store = seaweed.SeaweedFS(data, stop_timeout_s=0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = [f"{part}.port" for part in seaweed._PARTS]
        names += [f"{name}.grpc" for name in names]
        store._ports = dict(zip(names, ports.free_ports(len(names)), strict=True))
        store._ports["s3.port"] = taken.getsockname()[1]
        await store.start()
        try:
            made = services.S3(store.endpoint, store.access_key, store.secret_key)
            made.client().make_bucket("mine")
            assert store._ports["s3.port"] != taken.getsockname()[1]
        finally:
            await store.stop()


async def test_postgres_goes_on_after_a_kill_and_a_backend_that_lives_on(data: Path) -> None:
    """A stopped backend holds the shared memory of the killed postmaster until it is ended."""
    database = embedded.Postgres(data)
    await database.start()
    connection = await asyncpg.connect(database.url)
    backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
    backend.suspend()
    psutil.Process(database.child.pid).kill()
    await database.child.wait()
    connection.terminate()
    following = embedded.Postgres(data)
    await following.start()
    try:
        await services.execute(following.url, "SELECT 1")
        assert not backend.is_running()
    finally:
        await following.stop()


async def test_the_store_keeps_what_it_has_answered_for_through_a_kill(data: Path) -> None:
    store = seaweed.SeaweedFS(data, stop_timeout_s=0.5)
    await store.start()
    client = services.S3(store.endpoint, store.access_key, store.secret_key).client()
    client.make_bucket("kept")
    content = secrets.token_bytes(9 << 20)
    client.put_object("kept", "object", io.BytesIO(content), len(content))
    psutil.Process(store.child.pid).kill()
    await store.child.wait()
    following = seaweed.SeaweedFS(data, stop_timeout_s=0.5)
    await following.start()
    try:
        client = services.S3(following.endpoint, store.access_key, store.secret_key).client()
        with client.get_object("kept", "object") as answer:
            assert answer.read() == content
    finally:
        await following.stop()


async def test_the_parts_of_the_store_refuse_what_is_not_signed(data: Path) -> None:
    store = seaweed.SeaweedFS(data, stop_timeout_s=0.5)
    await store.start()
    try:
        assert await asyncio.to_thread(_status, store._ports["s3.port"]) == 403
        assert await asyncio.to_thread(_status, store._ports["filer.port"]) == 401
        assert await asyncio.to_thread(_status, store._ports["volume.port"]) == 401
    finally:
        await store.stop()


def _status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()
