"""Bundles for tests: one that is made up, its bytes, and two registries to carry one between."""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from support import services

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.client import manifest
from modelkeep.client.exchange import (
    bundle_evaluations,
    bundle_index,
    bundle_records,
    bundle_tar,
)
from modelkeep.local import postgres as embedded

CONTENTS = (b"", b"one", os.urandom(1500))
MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def one_version(draft: client.Draft | None = None) -> bundle_records.Bundle:
    """A bundle of one version."""
    files = tuple(
        client.File(
            path=f"sub/{number}.bin",
            digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
            size_bytes=len(content),
        )
        for number, content in enumerate(CONTENTS)
    )
    version = bundle_records.BundledVersion(
        version="1.0.0-rc.1",
        ordinal=3,
        stage="production",
        manifest_digest=manifest.digest(files),
        draft=draft or client.Draft(),
        files=files,
        creator="ann",
        create_client="cli",
        created_at=MOMENT,
        finalized_at=None,
    )
    move = bundle_records.BundledMove(
        subject="champion",
        version="1.0.0-rc.1",
        actor="bob",
        reason="why\nso",
        begun_at=MOMENT,
        ended_at=None,
    )
    return bundle_records.Bundle(
        name="acme/voice",
        kind=client.ModelKind.MODEL,
        owner="",
        description="d",
        labels={"a": "b"},
        creator="ann",
        created_at=MOMENT,
        versions=(version,),
        aliases=(),
        alias_history=(move,),
        stage_history=(dataclasses.replace(move, subject="production"),),
    )


def written(
    told: bundle_records.Bundle,
    *,
    measured: bytes | None = None,
    part: bundle_records.EvaluationsPart | None = None,
) -> bytes:
    """The tar of a bundle of `CONTENTS`.

    Args:
        told: what it says.
        measured: the part with the evaluations, if it shall be another than theirs.
        part: what the index says of that part, if it shall say anything else.
    """
    raw = bundle_evaluations.encode(told.evaluations) if measured is None else measured
    index = bundle_index.encode(told, part or bundle_evaluations.part_of(raw))
    members = [(bundle_records.INDEX_NAME, index)]
    members += [(bundle_records.EVALUATIONS_NAME, raw)] if raw else []
    by_digest = {f"sha256:{hashlib.sha256(content).hexdigest()}": content for content in CONTENTS}
    members += [(bundle_records.blob_name(digest), by_digest[digest]) for digest in told.blobs]
    tar = b"".join(
        bundle_tar.header(name, len(content))
        + content
        + bytes(bundle_tar.padded(len(content)) - len(content))
        for name, content in members
    )
    return tar + bundle_tar.ending(len(tar))


@dataclass(frozen=True)
class Two:
    """A registry with a model, and an empty one."""

    source: client.Registry
    target: client.Registry
    target_endpoint: str


@contextlib.asynccontextmanager
async def two_registries(
    config: configuration.Config, postgres: embedded.Postgres, s3: services.S3, template: str
) -> AsyncIterator[Two]:
    """Two registries of one store and one Postgres that know nothing of each other."""
    async with services.database(postgres, template) as url:
        with services.bucket(s3) as bucket:
            other = configuration.Config(
                database_url=url,
                s3_endpoint=s3.endpoint,
                s3_access_key=s3.access_key,
                s3_secret_key=s3.secret_key,
                s3_bucket=bucket,
                s3_secure=False,
                listen="127.0.0.1:0",
                anonymous_role="admin",
                log_format="console",
            )
            async with (
                app.running(config) as here,
                app.running(other) as there,
                client.connect(here) as source,
                client.connect(there) as target,
            ):
                yield Two(source, target, there)
