"""AccessService: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.service import access
from modelkeep.transport import access_requests, page_tokens
from modelkeep.transport import convert_access as crossing
from modelkeep.v1 import access_service_pb2 as pb
from modelkeep.v1 import access_service_pb2_grpc as pb_grpc


class AccessServicer(pb_grpc.AccessServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, cases: access.Access, tokens: page_tokens.PageTokens) -> None:
        self._access = cases
        self._tokens = tokens

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Any) -> pb.WhoAmIResponse:
        return crossing.caller_to_wire(callers.current())

    async def TestPermissions(
        self, request: pb.TestPermissionsRequest, context: Any
    ) -> pb.TestPermissionsResponse:
        question = access_requests.test_permissions(request)
        return pb.TestPermissionsResponse(actions=self._access.test(callers.current(), question))

    async def CreateToken(
        self, request: pb.CreateTokenRequest, context: Any
    ) -> pb.CreateTokenResponse:
        caller = callers.current()
        asked = access_requests.create_token(request, caller.principal)
        token, text = await self._access.tokens.create(caller, *asked)
        return pb.CreateTokenResponse(token=crossing.token_to_wire(token), text=text)

    async def ListTokens(
        self, request: pb.ListTokensRequest, context: Any
    ) -> pb.ListTokensResponse:
        asked = access_requests.list_tokens(self._tokens, request)
        page = await self._access.tokens.list(callers.current(), *asked)
        response = pb.ListTokensResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.tokens, crossing.token_to_wire
        )
        return response

    async def RevokeToken(
        self, request: pb.RevokeTokenRequest, context: Any
    ) -> pb.RevokeTokenResponse:
        asked = access_requests.revoke_token(request)
        token = await self._access.tokens.revoke(callers.current(), *asked)
        return pb.RevokeTokenResponse(token=crossing.token_to_wire(token))

    async def CreateRoleBinding(
        self, request: pb.CreateRoleBindingRequest, context: Any
    ) -> pb.CreateRoleBindingResponse:
        asked = access_requests.create_binding(request)
        binding = await self._access.bindings.create(callers.current(), *asked)
        return pb.CreateRoleBindingResponse(binding=crossing.binding_to_wire(binding))

    async def ListRoleBindings(
        self, request: pb.ListRoleBindingsRequest, context: Any
    ) -> pb.ListRoleBindingsResponse:
        asked = access_requests.list_bindings(self._tokens, request)
        page = await self._access.bindings.list(callers.current(), *asked)
        response = pb.ListRoleBindingsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.bindings, crossing.binding_to_wire
        )
        return response

    async def DeleteRoleBinding(
        self, request: pb.DeleteRoleBindingRequest, context: Any
    ) -> pb.DeleteRoleBindingResponse:
        asked = access_requests.delete_binding(request)
        binding = await self._access.bindings.delete(callers.current(), *asked)
        return pb.DeleteRoleBindingResponse(binding=crossing.binding_to_wire(binding))
