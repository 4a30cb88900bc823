"""Builds what moves and keeps bytes."""

import asyncio
import datetime
from contextlib import AsyncExitStack

from modelkeep import background
from modelkeep import config as configuration
from modelkeep.admin import sources
from modelkeep.blobs import s3_connection, s3_transfers, store
from modelkeep.domain import garbage, limits
from modelkeep.service import (
    artifacts,
    batches,
    collecting,
    hashing,
    model_copying,
    reaping,
    rereading,
    scrub,
    transfers,
    uploads,
    usecases,
    version_checks,
)
from modelkeep.storage import database

Config = configuration.Config
_CHECKSUM_THREADS = 2
_SWEEP_INTERVAL_S = 30.0


def store_settings(config: Config) -> s3_connection.S3Settings:
    """Where the bytes are."""
    return s3_connection.S3Settings(
        endpoint=config.s3_endpoint,
        access_key=config.s3_access_key,
        secret_key=config.s3_secret_key,
        bucket=config.s3_bucket,
        region=config.s3_region,
        secure=config.s3_secure,
        threads=config.s3_threads,
    )


async def opened(
    config: Config,
    db: database.Database,
    blobs: store.BlobStore,
    draining: asyncio.Event,
    stack: AsyncExitStack,
    *,
    parts: sources.Sources,
) -> usecases.Artifact:
    """The use cases of bytes with what they do by themselves, until the stack is closed.

    `parts` is told what there is to watch.
    """
    grace = datetime.timedelta(seconds=config.gc_grace_s)
    sizes = uploads.Settings(
        memory_bytes=config.upload_memory_mib * limits.MIB,
        stall_s=config.upload_stall_s,
        least_bytes_per_s=config.limit_upload_kib_per_s * limits.KIB,
        touch_after=garbage.touch_after(grace),
    )
    sending = uploads.Uploads(db, blobs, sizes, draining)
    stack.push_async_callback(sending.close)
    background.repeat(_SWEEP_INTERVAL_S, sending.sweep, stack)
    reaper = _reaper(config, db, blobs)
    background.repeat(config.reap_interval_s, reaper.round, stack)
    rereader = _open_scrub(config, db, blobs, stack)
    reading = artifacts.Artifacts(db, blobs, sizes.touch_after)
    parts.uploads, parts.artifacts = sending, reading
    parts.reaper, parts.rereader = reaper, rereader
    together = batches.Batches(db, blobs, sending.memory, sending.hasher, sizes.touch_after)
    return usecases.Artifact(
        reading,
        sending,
        together,
        _open_transfers(config, db, blobs, stack),
        version_checks.VersionChecks(db, rereader),
        collecting.Collecting(db, blobs, grace),
        model_copying.ModelCopying(db, sending, together),
    )


def _open_transfers(
    config: Config, db: database.Database, blobs: store.BlobStore, stack: AsyncExitStack
) -> transfers.Transfers:
    signer = s3_transfers.S3Transfers(
        store_settings(config),
        expires_s=config.transfer_url_lifetime_s,
        public_endpoint=config.s3_public_endpoint,
        public_secure=config.s3_public_secure,
    )
    lifetime = datetime.timedelta(seconds=config.transfer_url_lifetime_s)
    opened = transfers.Transfers(db, blobs, signer, lifetime)
    stack.push_async_callback(opened.close)
    return opened


def _reaper(config: Config, db: database.Database, blobs: store.BlobStore) -> reaping.Reaper:
    pace = reaping.Settings(
        orphan_grace=datetime.timedelta(seconds=config.orphan_grace_s),
        retention=datetime.timedelta(seconds=config.upload_retention_s),
        answers_kept=datetime.timedelta(seconds=config.request_retention_s),
    )
    return reaping.Reaper(db, blobs, pace)


def _open_scrub(
    config: Config, db: database.Database, blobs: store.BlobStore, stack: AsyncExitStack
) -> rereading.Rereader:
    """Scrub in the background if the configuration says so; who re-reads on demand, too."""
    hasher = hashing.Hasher(_CHECKSUM_THREADS)
    stack.callback(hasher.close)
    rereader = rereading.Rereader(blobs, hasher)
    if config.scrub_mib_per_s:
        pace = scrub.Settings(
            bytes_per_s=config.scrub_mib_per_s * limits.MIB,
            older_than=datetime.timedelta(hours=config.scrub_every_h),
        )
        scrubbing = asyncio.create_task(scrub.Scrub(db, rereader, pace).run())
        stack.push_async_callback(background.ended, scrubbing)
    return rereader
