"""Sealing: a draft becomes a version whose content never changes."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.domain import errors, events, manifests, names, pickle_policies, specs, versions
from modelkeep.service import changes, inspecting, lineage, prompts, quarantine
from modelkeep.storage import database
from modelkeep.storage import facts as fact_rows
from modelkeep.storage import files as file_rows
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import versions as rows

_log = structlog.get_logger()
_NAMED = 3
"""How many missing files an error names."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A prompt's file, and where its bytes already are."""

    spec: specs.PromptSpec
    file: manifests.File
    blob: file_rows.StoredBlob


class Finalizing:
    """Seals drafts.

    Args:
        db: the database.
        blobs: where the file of a prompt spec goes.
        inspecting: looks into the files.
    """

    def __init__(
        self, db: database.Database, blobs: store.BlobStore, inspecting: inspecting.Inspecting
    ) -> None:
        self._db = db
        self._inspecting = inspecting
        self._blobs = blobs
        self._changes = changes.Changes(db)

    async def finalize(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.VersionName,
        manifest: manifests.Manifest,
        etag: str,
    ) -> versions.Version:
        """Seal a draft with these files, which are looked into; set it aside if the policy says so.

        Raises `errors.NotFound`, `errors.StaleEtag`, `errors.InvalidArgument` (no files, a reserved
        path, a size that is not the blob's), `errors.FailedPrecondition` (not a draft; a file was
        never uploaded), `errors.Unavailable` (the store is away, so nobody can look).
        """
        policy.require(caller, policy.Action.FINALIZE_VERSION, name)
        version = await self._get(name)
        manifests.require_content(manifest, version.content.spec)
        if version.state is versions.VersionState.DRAFT:
            await self._inspecting.inspect(name.parent.parent, manifest.files)
        prompt = await self._store_prompt(version)
        seal = _Seal(name, manifest, etag, prompt)
        try:
            return await self._changes.apply(caller, once, versions.Version, seal.run)
        except errors.QuotaExceeded:
            seal.prompt_kept = False  # told at the commit, which took the row back
            raise
        finally:
            if prompt and not seal.prompt_kept:
                await self._drop(prompt.blob.storage_key)

    async def _get(self, name: names.VersionName) -> versions.Version:
        async with self._db.connection() as connection:
            return (await rows.get(connection, name)).version

    async def _store_prompt(self, version: versions.Version) -> _Prompt | None:
        """Store the file of a prompt spec before the transaction that will refer to it."""
        spec = version.content.spec
        if version.state is not versions.VersionState.DRAFT:
            return None
        if not isinstance(spec, specs.PromptSpec):
            return None
        rendered = await asyncio.to_thread(prompts.render, spec)
        key = f"blobs/{secrets.token_hex(16)}"
        await self._blobs.put(key, [rendered.body], rendered.crc32c)
        file = rendered.file
        blob = file_rows.StoredBlob(file.digest, file.size_bytes, key, rendered.crc32c)
        return _Prompt(spec, file, blob)

    async def _drop(self, key: str) -> None:
        """Delete an object nobody refers to; if that fails it is only garbage for the reaper."""
        try:
            await self._blobs.delete(key)
        except errors.ModelkeepError as error:
            _log.warning("blob.orphaned", key=key, error=error.message)


class _Seal:
    """The body of the transaction."""

    def __init__(
        self,
        name: names.VersionName,
        manifest: manifests.Manifest,
        etag: str,
        prompt: _Prompt | None,
    ) -> None:
        self._name = name
        self._manifest = manifest
        self._etag = etag
        self._prompt = prompt
        self.prompt_kept = False

    async def run(self, change: changes.Change) -> versions.Version:
        stored = await rows.lock(change.connection, self._name)
        changes.require_etag(self._name, self._etag, stored.version.etag)
        versions.require_state(stored.version, versions.VersionState.DRAFT, "finalized")
        manifest = self._manifest
        if isinstance(stored.version.content.spec, specs.PromptSpec):
            manifest = await self._with_prompt(stored, change)
        await _require_blobs(stored, manifest.files, change)
        await file_rows.insert_all(
            change.connection, stored.version_id, stored.namespace_id, manifest.files
        )
        judgement = await self._judge(stored, change)
        await rows.seal(change.connection, stored.version_id, manifest, judgement.warnings)
        await lineage.link_sealed(stored, change)
        self._record(manifest, change)
        sealed = await rows.get(change.connection, self._name)
        if not judgement.quarantine_reason:
            return sealed.version
        return await quarantine.quarantine(change, sealed, judgement.quarantine_reason)

    async def _judge(
        self, stored: rows.Stored, change: changes.Change
    ) -> pickle_policies.Judgement:
        """What follows from what is inside the caller's files."""
        pickle_policy = await namespace_rows.get_pickle_policy(
            change.connection, stored.namespace_id
        )
        files = self._manifest.files
        digests = sorted({file.digest for file in files})
        found = await fact_rows.find_pickles(change.connection, stored.namespace_id, digests)
        return pickle_policies.judge(pickle_policy, files, found)

    async def _with_prompt(self, stored: rows.Stored, change: changes.Change) -> manifests.Manifest:
        prompt = self._prompt
        if prompt is None or stored.version.content.spec != prompt.spec:
            raise errors.Aborted(f"{self._name} changed while it was finalized; try again")
        self.prompt_kept = await file_rows.insert_blob(
            change.connection, stored.namespace_id, prompt.blob, change.caller.principal
        )
        return manifests.Manifest.of([*self._manifest.files, prompt.file])

    def _record(self, manifest: manifests.Manifest, change: changes.Change) -> None:
        after: dict[str, events.Json] = {
            "manifest_digest": manifest.digest,
            "file_count": len(manifest.files),
            "total_bytes": manifest.total_bytes,
        }
        event = events.Event("version.finalized", self._name, {"state": "draft"}, after)
        change.record(self._name.namespace, event)


async def _require_blobs(
    stored: rows.Stored, files: Sequence[manifests.File], change: changes.Change
) -> None:
    digests = sorted({file.digest for file in files})
    sizes = await file_rows.find_blob_sizes(
        change.connection, stored.namespace_id, digests, lock=True
    )
    missing = [file.path for file in files if file.digest not in sizes]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise errors.FailedPrecondition(
            f"never uploaded: {', '.join(missing[:_NAMED])}{more}; upload, then finalize again",
            reason="BLOB_MISSING",
            path=missing[0],
            missing=len(missing),
        )
    wrong = [
        errors.Violation(
            f"files[{n}].size_bytes",
            f"{file.path} is stated to have {file.size_bytes:,} bytes; "
            f"the blob of its digest has {sizes[file.digest]:,}",
        )
        for n, file in enumerate(files)
        if sizes[file.digest] != file.size_bytes
    ]
    if wrong:
        raise errors.InvalidArgument(wrong)
