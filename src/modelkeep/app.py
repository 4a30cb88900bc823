"""Composition root: builds everything from the configuration, and drains it on stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from modelkeep import config as configuration
from modelkeep.blobs import metered, s3, s3_connection, store
from modelkeep.service import usecases
from modelkeep.storage import database, migrations, settings
from modelkeep.transport import page_tokens, server

Config = configuration.Config
_log = structlog.get_logger()


async def migrate(config: Config) -> list[str]:
    """Apply the missing migrations and return their names."""
    return await migrations.migrate(config.database_url)


async def serve(config: Config, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Args:
        config: what to serve with.
        on_ready: told the `host:port` when calls are taken.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    async with running(config) as endpoint:
        on_ready(endpoint)
        await stopping.wait()


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[str]:
    """A server that takes calls inside the block; yields its `host:port`."""
    await migrations.require_current(config.database_url)
    db = await database.Database.open(config.database_url, config.database_pool_size)
    blobs = await _open_store(config)
    grpc_server = server.Server(config.listen)
    try:
        if "registry" in config.services:
            cases = usecases.Registry.over(db, blobs)
            grpc_server.add_registry(cases, await _page_tokens(db))
        endpoint = await grpc_server.start()
        _log.info("server.ready", endpoint=endpoint, services=sorted(config.services))
        yield endpoint
        _log.info("server.draining", grace_s=config.drain_timeout_s)
    finally:
        await grpc_server.stop(config.drain_timeout_s)
        await blobs.close()
        await db.close()
        _log.info("server.stopped")


async def _open_store(config: Config) -> store.BlobStore:
    settings = s3_connection.S3Settings(
        endpoint=config.s3_endpoint,
        access_key=config.s3_access_key,
        secret_key=config.s3_secret_key,
        bucket=config.s3_bucket,
        region=config.s3_region,
        secure=config.s3_secure,
        threads=config.s3_threads,
    )
    bucket = s3.S3BlobStore(settings)
    await bucket.ensure_bucket(create=True)
    return metered.MeteredBlobStore(bucket)


async def _page_tokens(db: database.Database) -> page_tokens.PageTokens:
    async with db.connection() as connection:
        return page_tokens.PageTokens(await settings.get_or_make_secret(connection, "page_token"))
