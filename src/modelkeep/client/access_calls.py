"""Calls about access: who one is, tokens, and roles."""

import functools
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from google.protobuf import timestamp_pb2

from modelkeep.client import access_convert, access_records, calls, connection, refs
from modelkeep.v1 import access_service_pb2 as pb
from modelkeep.v1 import access_service_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from modelkeep.v1.access_service_pb2_grpc import AccessServiceAsyncStub

EVERYBODY = "-"
"""Stands for the tokens of everybody."""


class AccessCalls(connection.Connection):
    """Ask who one is and what one may do; make and revoke tokens; give roles and take them."""

    @functools.cached_property
    def _access(self) -> "AccessServiceAsyncStub":
        return pb_grpc.AccessServiceStub(self._channel)

    async def who_am_i(self) -> access_records.Identity:
        """Who is calling, as the server sees it."""
        response = await self._call(self._access.WhoAmI, pb.WhoAmIRequest())
        return access_convert.identity_from_wire(response)

    async def test_permissions(
        self, actions: Sequence[str], resource: str = "", *, stage: str = "", alias: str = ""
    ) -> frozenset[str]:
        """Those of the actions that the caller may do.

        Args:
            actions: such as `version.create`; docs/access.md has them all.
            resource: `acme`, `acme/voice`, `acme/voice@1.2.0`, the name of any resource, or '' for
                the registry as a whole. Whether it exists does not matter.
            stage: to which stage something would be moved.
            alias: which alias would be changed.
        """
        request = pb.TestPermissionsRequest(
            resource=_resource(resource), actions=actions, stage=stage, alias=alias
        )
        return frozenset((await self._call(self._access.TestPermissions, request)).actions)

    async def create_token(
        self,
        principal: str = "",
        *,
        description: str = "",
        groups: Sequence[str] = (),
        scopes: Sequence[access_records.RoleGrant] = (),
        expires_at: datetime | None = None,
    ) -> access_records.NewToken:
        """Make a token.

        Args:
            principal: whose, `service:ci`; '' for one's own.
            description: what for.
            groups: whose roles it has besides.
            scopes: what it is limited to.
            expires_at: aware instant at which it ends; None for never.
        """
        token = pb.Token(
            principal=principal,
            description=description,
            groups=groups,
            scopes=map(access_convert.grant_to_wire, scopes),
            expire_time=_stamp(expires_at),
        )
        request = pb.CreateTokenRequest(token=token, request_id=calls.new_request_id())
        response = await self._call(self._access.CreateToken, request)
        return access_records.NewToken(
            access_convert.token_from_wire(response.token), response.text
        )

    def list_tokens(self, principal: str = "") -> AsyncIterator[access_records.AccessToken]:
        """Tokens of a principal, one's own (''), or everybody's (`-`)."""
        request = pb.ListTokensRequest(principal=principal, page_size=connection.MAX_PAGE_SIZE)

        async def fetch(after: str) -> tuple[list[access_records.AccessToken], str]:
            request.page_token = after
            page = await self._call(self._access.ListTokens, request)
            return list(map(access_convert.token_from_wire, page.tokens)), page.next_page_token

        return connection.pages(fetch)

    async def revoke_token(self, token_id: str) -> access_records.AccessToken:
        """End a token for good, or raise NotFound."""
        request = pb.RevokeTokenRequest(
            name=_named("tokens", token_id), request_id=calls.new_request_id()
        )
        response = await self._call(self._access.RevokeToken, request)
        return access_convert.token_from_wire(response.token)

    async def grant_role(
        self, principal: str, grant: access_records.RoleGrant, *, reason: str = ""
    ) -> access_records.RoleBinding:
        """Give somebody a role; to give it twice is the same as once."""
        binding = pb.RoleBinding(
            principal=principal, grant=access_convert.grant_to_wire(grant), reason=reason
        )
        request = pb.CreateRoleBindingRequest(binding=binding, request_id=calls.new_request_id())
        response = await self._call(self._access.CreateRoleBinding, request)
        return access_convert.binding_from_wire(response.binding)

    def list_roles(
        self, place: str = "", *, principal: str = ""
    ) -> AsyncIterator[access_records.RoleBinding]:
        """What was given in a namespace or a model, or anywhere (''); to one, or to everybody."""
        request = pb.ListRoleBindingsRequest(
            parent=access_convert.place_to_wire(place),
            principal=principal,
            page_size=connection.MAX_PAGE_SIZE,
        )

        async def fetch(after: str) -> tuple[list[access_records.RoleBinding], str]:
            request.page_token = after
            page = await self._call(self._access.ListRoleBindings, request)
            return list(map(access_convert.binding_from_wire, page.bindings)), page.next_page_token

        return connection.pages(fetch)

    async def revoke_role(self, binding_id: str) -> access_records.RoleBinding:
        """Take a role away, or raise NotFound; what it was.

        Raises:
            Refused: reason LAST_ADMIN, the registry would have no administrator.
        """
        request = pb.DeleteRoleBindingRequest(
            name=_named("bindings", binding_id), request_id=calls.new_request_id()
        )
        response = await self._call(self._access.DeleteRoleBinding, request)
        return access_convert.binding_from_wire(response.binding)


def _resource(text: str) -> str:
    """A resource name, from what people write as well."""
    if not text or text.startswith("namespaces/"):
        return text
    ref = refs.parse(text)
    if ref.is_exact:
        return ref.version_name
    if ref.selector:
        return f"{ref.model_name}/aliases/{ref.selector}"
    return ref.model_name if ref.model else ref.namespace_name


def _named(collection: str, text: str) -> str:
    return text if text.startswith(f"{collection}/") else f"{collection}/{text}"


def _stamp(instant: datetime | None) -> timestamp_pb2.Timestamp | None:
    if instant is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(instant)
    return stamp
