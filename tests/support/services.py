"""What the fixtures are made of: services of this session and databases of one test."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import minio
import urllib3

from modelkeep.local import postgres, seaweed

FAST_AND_UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # A test's database is emptied before it would come: it would only change what a test sees.
    "autovacuum": "off",
}
"""Settings for a database that nobody misses after the session."""


@dataclass(frozen=True, slots=True)
class S3:
    """A running S3 store: `endpoint` is HOST:PORT, plain HTTP."""

    endpoint: str
    access_key: str
    secret_key: str

    def client(self) -> minio.Minio:
        """A client that fails at once rather than retrying, for fixtures and assertions."""
        pool = urllib3.PoolManager(retries=False, timeout=10, maxsize=8)
        return minio.Minio(
            self.endpoint, self.access_key, self.secret_key, secure=False, http_client=pool
        )


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """A private directory outside pytest's own, whose 0700 parents a database user cannot pass."""
    path = Path(tempfile.mkdtemp(prefix="modelkeep-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.asynccontextmanager
async def running_postgres() -> AsyncIterator[postgres.Postgres]:
    with scratch_directory() as data:
        server = postgres.Postgres(data, {**FAST_AND_UNSAFE, "max_connections": "300"})
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def running_s3() -> AsyncIterator[S3]:
    with scratch_directory() as data:
        store = seaweed.SeaweedFS(data, volume_size_mib=64, stop_timeout_s=0.5)
        await store.start()
        try:
            yield S3(store.endpoint, store.access_key, store.secret_key)
        finally:
            await store.stop()


@contextlib.asynccontextmanager
async def database(server: postgres.Postgres, template: str = "template1") -> AsyncIterator[str]:
    """A database of its own, cloned from a template; its URL. Dropped whoever is connected."""
    name = f"test_{secrets.token_hex(6)}"
    await execute(server.url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield url_of(server, name)
    finally:
        await execute(server.url, f'DROP DATABASE "{name}" WITH (FORCE)')


def url_of(server: postgres.Postgres, name: str) -> str:
    return f"{server.url.rpartition('/')[0]}/{name}"


async def as_server(url: str, *namespaces: str) -> Any:
    """A connection as the pool has them, which shows these namespaces."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute("SELECT set_config('role', server_role(), false)")
    await connection.fetchval("SELECT show_namespaces($1::text[], false)", list(namespaces))
    return connection


@contextlib.asynccontextmanager
async def owning(db: Any) -> AsyncIterator[Any]:
    """A connection of a pool that acts as its user, whom nothing is hidden from, in the block."""
    async with db.connection() as connection:
        await connection.execute("RESET ROLE")
        try:
            yield connection
        finally:
            await connection.execute("SELECT set_config('role', server_role(), false)")


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def fetch_value(url: str, statement: str) -> Any:
    """The one value that a statement answers with, on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def bucket(s3: S3) -> Iterator[str]:
    """A new bucket and everything in it, gone at the end: each holds a slice of the disk."""
    client, name = s3.client(), f"test-{secrets.token_hex(6)}"
    client.make_bucket(name)
    try:
        yield name
    finally:
        for found in client.list_objects(name, recursive=True):
            client.remove_object(name, found.object_name)
        client.remove_bucket(name)


def clean_environ(**settings: str) -> dict[str, str]:
    """The environment of a child: ours without any MODELKEEP_ key, then `settings`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
    return kept | settings
