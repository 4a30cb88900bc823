"""Calls about what points at a version: aliases and stages."""

from collections.abc import AsyncIterator

from modelkeep.client import calls, connection, convert, errors, records, refs
from modelkeep.v1 import lifecycle_service_pb2 as lifecycle_pb
from modelkeep.v1 import registry_service_pb2 as pb

ABSENT = "none"
"""What to expect of an alias that is not set."""


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
        expect: str = "",
    ) -> records.Alias:
        """Point an alias at a sealed version, creating or moving it.

        Args:
            version: `acme/voice@1.2.0`.
            alias: its id, for example `champion`.
            reason: why, kept in the history.
            etag: move it only if it is still as it was read (Conflict).
            if_absent: refuse if it is set already.
            expect: move it only if it points at this version (`1.1.0`) now, or, with `none`, is
                not set (Conflict); nobody can move it in between.
        """
        ref = refs.parse_version(version)
        if expect == ABSENT:
            if_absent = True
        elif expect:
            etag = await self._etag_at(f"{ref.namespace}/{ref.model}", alias, expect)
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

    async def _etag_at(self, model: str, alias: str, version: str) -> str:
        """The alias's etag if it points at that version; Conflict otherwise."""
        try:
            found = await self.get_alias(model, alias)
        except errors.NotFound as absent:
            raise _moved(
                f"{model}@{alias} is not set, so it does not point at {version}"
            ) from absent
        present = found.version.rpartition("/")[2]
        if present != version:
            raise _moved(f"{model}@{alias} points at {present}, not at {version}")
        return found.etag

    async def protect_aliases(
        self, where: str, pattern: str, *, reason: str
    ) -> records.AliasProtection:
        """Protect aliases of a model, or of a namespace's models: `*` is any characters."""
        request = pb.ProtectAliasesRequest(
            parent=_owner_name(where),
            pattern=pattern,
            reason=reason,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.ProtectAliases, request)
        return convert.protection_from_wire(response.protection)

    async def unprotect_aliases(self, where: str, pattern: str, *, reason: str) -> None:
        """Take a protection back, or raise NotFound."""
        request = pb.UnprotectAliasesRequest(
            parent=_owner_name(where),
            pattern=pattern,
            reason=reason,
            request_id=calls.new_request_id(),
        )
        await self._call(self._registry.UnprotectAliases, request)

    async def list_alias_protections(self, where: str) -> tuple[records.AliasProtection, ...]:
        """What holds in a namespace, or in a model, there that of its namespace included."""
        request = pb.ListAliasProtectionsRequest(parent=_owner_name(where))
        response = await self._call(self._registry.ListAliasProtections, request)
        return tuple(map(convert.protection_from_wire, response.protections))

    async def delete_alias(
        self, model: str, alias: str, *, reason: str = "", etag: str = "", expect: str = ""
    ) -> None:
        """Remove an alias, or raise NotFound.

        Args:
            model: `acme/voice`.
            alias: its id.
            reason: why, kept in the history; a protected alias needs one.
            etag: remove it only if it is still as it was read (Conflict).
            expect: remove it only if it points at this version (`1.1.0`) now (Conflict).
        """
        if expect:
            etag = await self._etag_at(model, alias, expect)
        request = pb.DeleteAliasRequest(
            name=f"{refs.parse_model(model).model_name}/aliases/{alias}",
            etag=etag,
            reason=reason,
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
        self,
        version: str,
        stage: str,
        *,
        reason: str,
        etag: str = "",
        bypass_gates: bool = False,
    ) -> records.StageMove:
        """Move a sealed version to `development`, `staging`, `production` or `archived`.

        Args:
            version: `acme/voice@1.2.0`.
            stage: where to.
            reason: why.
            etag: move it only if it is still as it was read (Conflict).
            bypass_gates: move it whatever the gates say; it needs a permission of its own.

        Raises:
            Refused: reason GATES_FAILED, and `violations` names each gate that is not met.
        """
        request = lifecycle_pb.SetStageRequest(
            name=refs.parse_version(version).version_name,
            stage=stage,
            reason=reason,
            etag=etag,
            bypass_gates=bypass_gates,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._lifecycle.SetStage, request)
        return records.StageMove(
            version=convert.version_from_wire(response.version),
            displaced_version=response.displaced_version,
        )


def _owner_name(where: str) -> str:
    ref = refs.parse(where)
    if not ref.model:
        return ref.namespace_name
    return refs.parse_model(where).model_name


def _moved(sentence: str) -> errors.Conflict:
    return errors.Conflict(f"{sentence}; look again and decide again.", reason="ALIAS_MOVED")
