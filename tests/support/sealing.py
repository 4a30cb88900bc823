"""Versions for tests of what refers to blobs: made, sealed, deleted and restored in one call."""

from collections.abc import Mapping
from concurrent import futures

from support import uploading

from modelkeep.blobs import store
from modelkeep.domain import manifests, models, names, specs, versions
from modelkeep.service import usecases
from modelkeep.storage import database

MODEL = names.ModelName(uploading.ACME.namespace, "m")
CALLER, NOT_ONCE = uploading.CALLER, uploading.NOT_ONCE


class Sealing:
    """Makes versions of one model; contents must have been pushed before they are sealed."""

    def __init__(self, db: database.Database, blob_store: store.BlobStore) -> None:
        self._cases = usecases.Registry.over(db, blob_store, futures.ThreadPoolExecutor(1))

    async def make_model(self) -> None:
        fields = models.ModelFields()
        kind = models.ModelKind.MODEL
        await self._cases.models.create(CALLER, NOT_ONCE, MODEL, kind, fields)

    async def draft(self, number: int) -> names.VersionName:
        """A draft `1.0.{number}`."""
        name = names.VersionName(MODEL.namespace, MODEL.model, f"1.0.{number}")
        content = specs.Content(specs.ModelSpec())
        await self._cases.versions.create(CALLER, NOT_ONCE, name, content, versions.Notes())
        return name

    async def seal(self, name: names.VersionName, contents: Mapping[str, bytes]) -> None:
        """Finalize a draft with these files by path."""
        files = [
            manifests.File(path, uploading.digest_of(content), len(content), "text/plain")
            for path, content in contents.items()
        ]
        manifest = manifests.Manifest.of(files)
        await self._cases.finalizing.finalize(CALLER, NOT_ONCE, name, manifest, "")

    async def delete(self, name: names.VersionName) -> None:
        await self._cases.versions.delete(CALLER, NOT_ONCE, name, "")

    async def restore(self, name: names.VersionName) -> None:
        await self._cases.versions.restore(CALLER, NOT_ONCE, name, "")
