"""All use cases, built over one database and one store."""

from concurrent import futures
from dataclasses import dataclass
from typing import Self

from modelkeep.blobs import store
from modelkeep.service import (
    aliases,
    artifacts,
    batches,
    collecting,
    finalizing,
    inspecting,
    lifecycle,
    models,
    namespaces,
    next_versions,
    quotas,
    uploads,
    version_checks,
    versions,
)
from modelkeep.storage import database


@dataclass(frozen=True, slots=True)
class Registry:
    """The use cases of the registry and of the lifecycle."""

    namespaces: namespaces.Namespaces
    quotas: quotas.Quotas
    models: models.Models
    versions: versions.Versions
    next_versions: next_versions.NextVersions
    finalizing: finalizing.Finalizing
    aliases: aliases.Aliases
    lifecycle: lifecycle.Lifecycle

    @classmethod
    def over(cls, db: database.Database, blobs: store.BlobStore, pool: futures.Executor) -> Self:
        """Build them over this database and this store; files are looked into in the pool."""
        looking = inspecting.Inspecting(db, blobs, pool)
        return cls(
            namespaces.Namespaces(db),
            quotas.Quotas(db),
            models.Models(db),
            versions.Versions(db),
            next_versions.NextVersions(db),
            finalizing.Finalizing(db, blobs, looking),
            aliases.Aliases(db),
            lifecycle.Lifecycle(db),
        )


@dataclass(frozen=True, slots=True)
class Artifact:
    """The use cases of bytes."""

    artifacts: artifacts.Artifacts
    uploads: uploads.Uploads
    batches: batches.Batches
    checks: version_checks.VersionChecks
    collecting: collecting.Collecting
