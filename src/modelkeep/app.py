"""Composition root: builds everything from the configuration, and drains it on stop."""

import asyncio
import datetime
import functools
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent import futures
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import structlog

from modelkeep import artifact_wiring, background, call_limits, ways_in
from modelkeep import config as configuration
from modelkeep.admin import port, readiness
from modelkeep.authz import caller as callers
from modelkeep.blobs import doctor, metered, s3, store, verifying
from modelkeep.domain import errors, limits, quotas
from modelkeep.outbound import posting, sealing, signing
from modelkeep.service import (
    access,
    auditing,
    bindings,
    bootstrapping,
    checkpointing,
    compliance,
    deliveries,
    delivering,
    denials,
    event_compacting,
    event_feeds,
    moving,
    resealing,
    settling,
    tokens,
    usecases,
    watching,
    webhooks,
)
from modelkeep.storage import database, migrations, settings
from modelkeep.transport import authentication, limiting, page_tokens, server, tls

Config = configuration.Config
Finding = doctor.Finding
_CHECKSUM_THREADS = 2
_INSPECTION_THREADS = 2
_DENIALS_INTERVAL_S = 10.0
_TOKEN_USE_INTERVAL_S = 30.0
_CYCLE_THRESHOLDS = (20_000, 20, 50)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_log = structlog.get_logger()


async def migrate(database_url: str) -> list[str]:
    """Apply the missing migrations and return their names; raises `config.CannotServe`."""
    with _plainly():
        return await migrations.migrate(database_url)


async def make_admin(database_url: str, principal: str, *, break_glass: bool) -> str:
    """Make an administrator by the database alone; a token of theirs, shown this once.

    Raises `config.CannotServe` if there is one already and the glass is not to be broken.
    """
    with _plainly():
        await migrations.require_current(database_url)
        db = await database.Database.open(database_url, 1)
        try:
            return await bootstrapping.make_admin(db, principal, break_glass=break_glass)
        finally:
            await db.close()


async def reseal_webhooks(database_url: str, keys: Sequence[bytes]) -> resealing.Resealed:
    """Encrypt the secrets of all webhooks with the first key; raises `config.CannotServe`."""
    with _plainly():
        await migrations.require_current(database_url)
        db = await database.Database.open(database_url, 1)
        try:
            return await resealing.reseal(db, sealing.Sealer(keys))
        finally:
            await db.close()


async def keep_local_admin(database_url: str, principal: str, present: str) -> str:
    """A token with which a local user administers their own registry: this one, if it works.

    Raises `config.CannotServe` if the database cannot be had.
    """
    with _plainly():
        db = await database.Database.open(database_url, 1)
        try:
            return await bootstrapping.keep_local_admin(db, principal, present)
        finally:
            await db.close()


async def examine_store(config: Config) -> list[Finding]:
    """Try all that we need of the S3 store; raises `config.CannotServe` if nothing can be tried."""
    with _plainly():
        return await doctor.examine(artifact_wiring.store_settings(config))


async def serve(
    config: Config,
    on_ready: Callable[[str], None],
    on_admin: Callable[[str], None],
    *,
    is_worker: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; raises `config.CannotServe`.

    Args:
        config: what to serve with.
        on_ready: told the `host:port` when calls are taken.
        on_admin: told the `host:port` of the admin port before that, if there is to be one.
        is_worker: share the port with others, and stop when stdin ends: who started us is gone.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    if is_worker:
        loop.add_reader(sys.stdin, _stop_at_end, stopping)
    with _plainly():
        async with running(config, on_admin, is_worker=is_worker) as endpoint:
            _seldom_look_for_cycles()
            on_ready(endpoint)
            await stopping.wait()


def _stop_at_end(stopping: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        asyncio.get_running_loop().remove_reader(sys.stdin)
        stopping.set()


def _seldom_look_for_cycles() -> None:
    """Leave what stays for good out of Python's cycle collector, and have it look less often.

    Calls make hundreds of objects each and hardly a cycle; at the usual thresholds a busy server
    spends a tenth of its time on looking for some (docs/benchmarks.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_CYCLE_THRESHOLDS)


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except errors.ModelkeepError as error:
        raise configuration.CannotServe(error.message) from error


@asynccontextmanager
async def running(
    config: Config,
    on_admin: Callable[[str], None] = lambda _: None,
    *,
    is_worker: bool = False,
) -> AsyncIterator[str]:
    """A server that takes calls inside the block; yields its `host:port`.

    What is built first is closed last; the server itself goes first and drains. The admin port
    answers from before the first call until after the last.
    """
    async with AsyncExitStack() as stack:
        entrance = ways_in.opened(config, stack)
        await migrations.require_current(config.database_url)
        admin = port.Admin()
        db = await database.Database.open(config.database_url, config.database_pool_size)
        stack.push_async_callback(db.close)
        blobs = await _open_store(config, admin, stack)
        limiter = limiting.Limiter(call_limits.of(config))
        admin.parts.refused_calls = limiter.refused
        deciding = _open_access(config, db, stack)
        grpc_server = server.Server(
            entrance.doors,
            moving.Moving(db),
            authentication.Authentication(
                (deciding.tokens, *entrance.ways), deciding.bindings, _anonymous(config)
            ),
            admin.calls if config.admin_listen else None,
            _open_denials(db, stack),
            limiter=limiter,
            shares_port=is_worker,
        )
        if "registry" in config.services:
            await _offer_registry(config, db, blobs, grpc_server, stack, deciding=deciding)
        if "artifact" in config.services:
            artifact = await artifact_wiring.opened(
                config, db, blobs, grpc_server.draining, stack, parts=admin.parts
            )
            grpc_server.add_artifact(artifact, await _page_tokens(db))
        admin.parts.db = db
        if config.admin_listen:
            looking = readiness.Readiness(
                functools.partial(_closed, grpc_server),
                {"database": db.check, "store": blobs.check},
            )
            on_admin(await stack.enter_async_context(admin.answering(config.admin_listen, looking)))
        _keep_renewing(config, entrance.renewing, admin, stack)
        endpoint = await grpc_server.start()
        stack.push_async_callback(grpc_server.stop, config.drain_timeout_s)
        _warn_if_open(endpoint, config)
        _log.info(
            "server.ready",
            endpoint=endpoint,
            services=sorted(config.services),
            tls=entrance.renewing is not None,
            **({"mtls_endpoint": config.mtls_listen} if config.mtls_listen else {}),
        )
        yield endpoint
        _log.info("server.draining", grace_s=config.drain_timeout_s)
    _log.info("server.stopped")


async def _offer_registry(
    config: Config,
    db: database.Database,
    blobs: store.BlobStore,
    grpc_server: server.Server,
    stack: AsyncExitStack,
    *,
    deciding: access.Access,
) -> None:
    """Offer everything but the moving of bytes."""
    signing_pages = await _page_tokens(db)
    pool = stack.enter_context(futures.ThreadPoolExecutor(_INSPECTION_THREADS))
    cases = usecases.Registry.over(db, blobs, pool, _retention(config), _new_quotas(config))
    grpc_server.add_registry(cases, signing_pages)
    grpc_server.add_access(deciding, signing_pages)
    grpc_server.add_provenance(usecases.Vouching.over(db), signing_pages)
    happening = _open_events(config, db, grpc_server.draining, stack)
    grpc_server.add_events(happening, signing_pages)
    log = _open_audit(config, db, stack)
    grpc_server.add_audit(log, compliance.Compliance(db), signing_pages)


def _keep_renewing(
    config: Config, renewing: tls.Renewing | None, admin: port.Admin, stack: AsyncExitStack
) -> None:
    """Look now and then whether there is a new certificate, and tell when this one ends."""
    if renewing is not None:
        admin.parts.certificate_expires_at = lambda: renewing.expires_at
        background.repeat(config.tls_reload_interval_s, renewing.renew, stack)


def _new_quotas(config: Config) -> quotas.Limits:
    """What a new namespace may take unless its maker says otherwise."""
    stored_bytes = config.new_namespace_stored_gib * 1024 * limits.MIB
    logical_bytes = config.new_namespace_logical_gib * 1024 * limits.MIB
    wanted = (stored_bytes, logical_bytes, config.new_namespace_open_uploads)
    return quotas.Limits(*(min(limit, limits.INT64_MAX) for limit in wanted))


def _closed(grpc_server: server.Server) -> str:
    if grpc_server.draining.is_set():
        return "draining"
    return "" if grpc_server.started else "starting"


def _anonymous(config: Config) -> callers.Role | None:
    return callers.Role(config.anonymous_role) if config.anonymous_role else None


def _open_access(config: Config, db: database.Database, stack: AsyncExitStack) -> access.Access:
    """Know tokens and roles, and note now and then which tokens are used."""
    lifetime_s = float(config.access_cache_s)
    known = tokens.Tokens(db, lifetime_s)
    stack.push_async_callback(known.flush)
    background.repeat(_TOKEN_USE_INTERVAL_S, known.flush, stack)
    return access.Access(known, bindings.Bindings(db, lifetime_s))


def _warn_if_open(endpoint: str, config: Config) -> None:
    """Say loudly what whoever reaches the port may do without credentials."""
    host = endpoint.rpartition(":")[0].strip("[]")
    if config.anonymous_role and host not in _LOOPBACK:
        _log.warning(
            "server.open_to_network", endpoint=endpoint, anonymous_role=config.anonymous_role
        )


async def _open_store(config: Config, admin: port.Admin, stack: AsyncExitStack) -> store.BlobStore:
    bucket = s3.S3BlobStore(artifact_wiring.store_settings(config))
    stack.push_async_callback(bucket.close)
    await bucket.ensure_bucket(create=True)
    pool = stack.enter_context(futures.ThreadPoolExecutor(_CHECKSUM_THREADS))
    measured = metered.MeteredBlobStore(bucket, admin.parts.meters)
    return verifying.VerifyingBlobStore(measured, pool)


def _open_events(
    config: Config, db: database.Database, draining: asyncio.Event, stack: AsyncExitStack
) -> usecases.Events:
    """Tell watchers and webhooks what happens, and forget what is old."""
    feeds = event_feeds.Feeds(db)
    sealer = sealing.Sealer(config.secret_key)
    poster = posting.Poster(config.webhook_allowed_networks, config.webhook_timeout_s)
    stack.push_async_callback(poster.close)
    deliverer = _deliverer(config, db, poster, sealer)
    for work in (feeds.run(), feeds.end_when(draining), deliverer.run()):
        stack.push_async_callback(background.ended, asyncio.create_task(work))
    retention = datetime.timedelta(seconds=config.event_retention_s)
    compactor = event_compacting.Compactor(db, event_compacting.Settings(retention))
    background.repeat(config.reap_interval_s, compactor.round, stack)
    return usecases.Events(
        watching.Watching(db, feeds),
        webhooks.Webhooks(db, sealer, http_allowed=config.webhook_allow_http),
        deliveries.Deliveries(db),
    )


def _open_audit(config: Config, db: database.Database, stack: AsyncExitStack) -> auditing.Auditing:
    """Show and prove what was done, and sign it if there is a key."""
    signer = signing.Signer(config.audit_signing_key)
    if signer.has_key:
        checkpointer = checkpointing.Checkpointer(db, signer)
        background.repeat(config.audit_checkpoint_interval_s, checkpointer.round, stack)
    return auditing.Auditing(db, signer)


def _open_denials(db: database.Database, stack: AsyncExitStack) -> denials.Denials:
    """Keep account of what callers tried and may not do."""
    kept = denials.Denials(db)
    stack.push_async_callback(kept.close)
    background.repeat(_DENIALS_INTERVAL_S, kept.flush, stack)
    return kept


def _deliverer(
    config: Config, db: database.Database, poster: posting.Poster, sealer: sealing.Sealer
) -> delivering.Deliverer:
    patience = settling.Settings(
        first_retry_s=config.webhook_first_retry_s,
        longest_retry_s=config.webhook_longest_retry_s,
        give_up_after=datetime.timedelta(seconds=config.webhook_give_up_after_s),
        disable_after=datetime.timedelta(seconds=config.webhook_disable_after_s),
    )
    pace = delivering.Settings(config.webhook_at_once, timeout_s=config.webhook_timeout_s)
    return delivering.Deliverer(db, poster, sealer, settling.Settler(db, patience), pace)


def _retention(config: Config) -> datetime.timedelta | None:
    """How long deleted versions can be restored; None: until somebody purges them."""
    seconds = config.deleted_retention_s
    return datetime.timedelta(seconds=seconds) if seconds else None


async def _page_tokens(db: database.Database) -> page_tokens.PageTokens:
    async with db.connection() as connection:
        return page_tokens.PageTokens(await settings.get_or_make_secret(connection, "page_token"))
