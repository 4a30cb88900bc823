"""Composition root: builds everything from the configuration, and drains it on stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import structlog

from modelkeep import config as configuration
from modelkeep.blobs import metered, s3, s3_connection, store, verifying
from modelkeep.domain import errors, limits
from modelkeep.service import artifacts, batches, uploads, usecases
from modelkeep.storage import database, migrations, settings
from modelkeep.transport import page_tokens, server

Config = configuration.Config
_CHECKSUM_THREADS = 2
_SWEEP_INTERVAL_S = 30.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_log = structlog.get_logger()


async def migrate(database_url: str) -> list[str]:
    """Apply the missing migrations and return their names; raises `config.CannotServe`."""
    with _plainly():
        return await migrations.migrate(database_url)


async def serve(config: Config, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; raises `config.CannotServe`.

    Args:
        config: what to serve with.
        on_ready: told the `host:port` when calls are taken.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    with _plainly():
        async with running(config) as endpoint:
            on_ready(endpoint)
            await stopping.wait()


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except errors.ModelkeepError as error:
        raise configuration.CannotServe(error.message) from error


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[str]:
    """A server that takes calls inside the block; yields its `host:port`.

    What is built first is closed last; the server itself goes first and drains.
    """
    await migrations.require_current(config.database_url)
    async with AsyncExitStack() as stack:
        db = await database.Database.open(config.database_url, config.database_pool_size)
        stack.push_async_callback(db.close)
        blobs = await _open_store(config, stack)
        grpc_server = server.Server(config.listen)
        if "registry" in config.services:
            cases = usecases.Registry.over(db, blobs)
            grpc_server.add_registry(cases, await _page_tokens(db))
        if "artifact" in config.services:
            sending = await _open_uploads(config, db, blobs, grpc_server.draining, stack)
            small = batches.Batches(db, blobs, sending.memory, sending.hasher)
            grpc_server.add_artifact(artifacts.Artifacts(db, blobs), sending, small)
        endpoint = await grpc_server.start()
        stack.push_async_callback(grpc_server.stop, config.drain_timeout_s)
        _warn_if_open(endpoint)
        _log.info("server.ready", endpoint=endpoint, services=sorted(config.services))
        yield endpoint
        _log.info("server.draining", grace_s=config.drain_timeout_s)
    _log.info("server.stopped")


def _warn_if_open(endpoint: str) -> None:
    """Say loudly that whoever reaches the port may do everything."""
    host = endpoint.rpartition(":")[0].strip("[]")
    if host not in _LOOPBACK:
        _log.warning("server.open_to_network", endpoint=endpoint, access_control="none")


async def _open_store(config: Config, stack: AsyncExitStack) -> store.BlobStore:
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
    stack.push_async_callback(bucket.close)
    await bucket.ensure_bucket(create=True)
    pool = stack.enter_context(futures.ThreadPoolExecutor(_CHECKSUM_THREADS))
    return verifying.VerifyingBlobStore(metered.MeteredBlobStore(bucket), pool)


async def _open_uploads(
    config: Config,
    db: database.Database,
    blobs: store.BlobStore,
    draining: asyncio.Event,
    stack: AsyncExitStack,
) -> uploads.Uploads:
    sizes = uploads.Settings(memory_bytes=config.upload_memory_mib * limits.MIB)
    opened = uploads.Uploads(db, blobs, sizes, draining)
    stack.push_async_callback(opened.close)
    sweeping = asyncio.create_task(_sweep(opened))
    stack.callback(sweeping.cancel)
    return opened


async def _sweep(opened: uploads.Uploads) -> None:
    """Every now and then take over the verifications that a replica left when it died."""
    while True:
        await asyncio.sleep(_SWEEP_INTERVAL_S)
        try:
            await opened.sweep()
        except errors.ModelkeepError as error:
            _log.warning("uploads.sweep_failed", error=error.message)


async def _page_tokens(db: database.Database) -> page_tokens.PageTokens:
    async with db.connection() as connection:
        return page_tokens.PageTokens(await settings.get_or_make_secret(connection, "page_token"))
