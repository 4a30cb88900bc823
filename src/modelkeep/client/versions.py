"""Calls about versions and their files."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from modelkeep.client import calls, connection, convert, records, refs, specs
from modelkeep.v1 import registry_service_pb2 as pb

_SEAL_TIMEOUT_S = 120.0
"""Sealing checks up to 10,000 files in one transaction."""
_DRAFT_MASK = ("spec", "datasets", "metrics", "source", "labels", "description", "card")


class VersionCalls(connection.Connection):
    """Create, seal, read, find, change, delete and restore versions."""

    async def create_version(self, version: str, draft: specs.Draft) -> records.Version:
        """Reserve a version as a draft. Refused if it exists."""
        ref = refs.parse_version(version)
        request = pb.CreateVersionRequest(
            parent=ref.model_name,
            version_id=ref.selector,
            version=convert.version_to_wire(draft),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.CreateVersion, request)
        return convert.version_from_wire(response.version)

    async def create_next_version(
        self,
        model: str,
        bump: records.Bump,
        draft: specs.Draft,
        *,
        manifest_digest: str = "",
        reuse: records.Reuse = records.Reuse.UNSPECIFIED,
    ) -> records.Version:
        """Reserve the model's next version, whose number the server chooses.

        Args:
            model: `acme/voice`.
            bump: which number of its highest release goes up; nothing yet counts as 0.0.0.
            draft: what to say about it.
            manifest_digest: what its files will be, if known; drafts are found again by it.
            reuse: what may be answered instead of a new version.
        """
        request = pb.CreateVersionRequest(
            parent=refs.parse_model(model).model_name,
            bump=pb.VersionBump.Value(f"VERSION_BUMP_{bump.upper()}"),
            manifest_digest=manifest_digest,
            reuse=pb.VersionReuse.Value(f"VERSION_REUSE_{reuse.upper()}"),
            version=convert.version_to_wire(draft),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.CreateVersion, request)
        return convert.version_from_wire(response.version)

    async def finalize_version(
        self, version: str, files: Sequence[records.File], *, etag: str = ""
    ) -> records.Version:
        """Seal a draft with its files, whose blobs the registry must hold. Refused otherwise."""
        request = pb.FinalizeVersionRequest(
            name=refs.parse_version(version).version_name,
            files=[convert.file_to_wire(file) for file in files],
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(
            self._registry.FinalizeVersion, request, timeout_s=_SEAL_TIMEOUT_S
        )
        return convert.version_from_wire(response.version)

    async def get_version(self, version: str) -> records.Version:
        """Read one version in any state, or raise NotFound."""
        request = pb.GetVersionRequest(name=refs.parse_version(version).version_name)
        response = await self._call(self._registry.GetVersion, request)
        return convert.version_from_wire(response.version)

    def list_versions(
        self, model: str, *, show_deleted: bool = False
    ) -> AsyncIterator[records.Version]:
        """A model's versions, newest ordinal first."""
        parent = refs.parse_model(model).model_name

        async def fetch(token: str) -> tuple[list[records.Version], str]:
            request = pb.ListVersionsRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                show_deleted=show_deleted,
            )
            page = await self._call(self._registry.ListVersions, request)
            entries = [convert.version_from_wire(entry) for entry in page.versions]
            return entries, page.next_page_token

        return connection.pages(fetch)

    def list_files(self, version: str, *, show_facts: bool = False) -> AsyncIterator[records.File]:
        """A sealed version's files by path, as sent by the server; with what is inside if asked."""
        parent = refs.parse_version(version).version_name

        async def fetch(token: str) -> tuple[list[records.File], str]:
            request = pb.ListFilesRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                show_facts=show_facts,
            )
            page = await self._call(self._registry.ListFiles, request)
            return [convert.file_from_wire(entry) for entry in page.files], page.next_page_token

        return connection.pages(fetch)

    async def resolve(self, ref: str, *, as_of: datetime | None = None) -> records.Version:
        """The sealed version a reference means, now or as it was at `as_of` (an aware instant)."""
        request = pb.ResolveVersionRequest(ref=str(refs.parse_selection(ref)))
        if as_of is not None:
            request.as_of.CopyFrom(convert.instant_to_wire(as_of))
        response = await self._call(self._registry.ResolveVersion, request)
        return convert.version_from_wire(response.version)

    async def update_version(
        self,
        version: str,
        *,
        card: str | None = None,
        labels: Mapping[str, str] | None = None,
        description: str | None = None,
        etag: str = "",
    ) -> records.Version:
        """Change what is given; with an `etag`, only if nobody changed it since (Conflict)."""
        wire = pb.Version(card=card or "", labels=dict(labels or {}), description=description or "")
        mask = connection.mask(card=card, labels=labels, description=description)
        return await self._update(version, wire, list(mask.paths), etag)

    async def update_draft(
        self, version: str, draft: specs.Draft, *, etag: str = ""
    ) -> records.Version:
        """Replace all a draft says about itself. Refused once it is sealed."""
        return await self._update(version, convert.version_to_wire(draft), _DRAFT_MASK, etag)

    async def _update(
        self, version: str, wire: pb.Version, paths: Sequence[str], etag: str
    ) -> records.Version:
        wire.name = refs.parse_version(version).version_name
        wire.etag = etag
        request = pb.UpdateVersionRequest(version=wire, request_id=calls.new_request_id())
        request.update_mask.paths.extend(paths)
        response = await self._call(self._registry.UpdateVersion, request)
        return convert.version_from_wire(response.version)

    async def delete_version(self, version: str, *, etag: str = "") -> records.Version:
        """Delete a version softly. Refused while it is staged, aliased or a base."""
        request = pb.DeleteVersionRequest(
            name=refs.parse_version(version).version_name,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.DeleteVersion, request)
        return convert.version_from_wire(response.version)

    async def restore_version(self, version: str, *, etag: str = "") -> records.Version:
        """Bring a deleted version back as it was. Refused if it is not deleted."""
        request = pb.RestoreVersionRequest(
            name=refs.parse_version(version).version_name,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.RestoreVersion, request)
        return convert.version_from_wire(response.version)

    async def purge_version(self, version: str, *, etag: str = "") -> records.Version:
        """Drop a deleted version's content for good. Refused if it is not deleted."""
        request = pb.PurgeVersionRequest(
            name=refs.parse_version(version).version_name,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.PurgeVersion, request)
        return convert.version_from_wire(response.version)
