"""Calls about what points at a version: aliases and stages."""

from collections.abc import AsyncIterator

from modelkeep.client import calls, connection, convert, records, refs
from modelkeep.v1 import lifecycle_service_pb2 as lifecycle_pb
from modelkeep.v1 import registry_service_pb2 as pb


class PointerCalls(connection.Connection):
    """Set, read and remove aliases; move versions between stages."""

    async def set_alias(
        self,
        version: str,
        alias: str,
        *,
        reason: str = "",
        etag: str = "",
        if_absent: bool = False,
    ) -> records.Alias:
        """Point an alias at a sealed version, creating or moving it.

        Args:
            version: `acme/voice@1.2.0`.
            alias: its id, for example `champion`.
            reason: why, kept in the history.
            etag: move it only if it is still as it was read (Conflict).
            if_absent: refuse if it is set already.
        """
        ref = refs.parse_version(version)
        request = pb.SetAliasRequest(
            alias=pb.Alias(
                name=f"{ref.model_name}/aliases/{alias}",
                version=ref.version_name,
                reason=reason,
                etag=etag,
            ),
            if_absent=if_absent,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.SetAlias, request)
        return convert.alias_from_wire(response.alias)

    async def get_alias(self, model: str, alias: str) -> records.Alias:
        """Read one alias, or raise NotFound."""
        name = f"{refs.parse_model(model).model_name}/aliases/{alias}"
        response = await self._call(self._registry.GetAlias, pb.GetAliasRequest(name=name))
        return convert.alias_from_wire(response.alias)

    def list_aliases(self, model: str) -> AsyncIterator[records.Alias]:
        """A model's aliases by name."""
        parent = refs.parse_model(model).model_name

        async def fetch(token: str) -> tuple[list[records.Alias], str]:
            request = pb.ListAliasesRequest(
                parent=parent, page_size=connection.MAX_PAGE_SIZE, page_token=token
            )
            page = await self._call(self._registry.ListAliases, request)
            return [convert.alias_from_wire(entry) for entry in page.aliases], page.next_page_token

        return connection.pages(fetch)

    async def delete_alias(self, model: str, alias: str, *, etag: str = "") -> None:
        """Remove an alias, or raise NotFound."""
        request = pb.DeleteAliasRequest(
            name=f"{refs.parse_model(model).model_name}/aliases/{alias}",
            etag=etag,
            request_id=calls.new_request_id(),
        )
        await self._call(self._registry.DeleteAlias, request)

    async def release_version(
        self, version: str, *, reason: str, etag: str = ""
    ) -> records.Version:
        """Make a quarantined version ready again. Refused if it is not quarantined."""
        request = lifecycle_pb.ReleaseVersionRequest(
            name=refs.parse_version(version).version_name,
            reason=reason,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._lifecycle.ReleaseVersion, request)
        return convert.version_from_wire(response.version)

    async def set_stage(
        self, version: str, stage: str, *, reason: str, etag: str = ""
    ) -> records.StageMove:
        """Move a sealed version to `development`, `staging`, `production` or `archived`."""
        request = lifecycle_pb.SetStageRequest(
            name=refs.parse_version(version).version_name,
            stage=stage,
            reason=reason,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._lifecycle.SetStage, request)
        return records.StageMove(
            version=convert.version_from_wire(response.version),
            displaced_version=response.displaced_version,
        )
