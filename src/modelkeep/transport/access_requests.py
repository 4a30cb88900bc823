"""Crossings of the requests of AccessService."""

from functools import partial

from modelkeep.domain import access, aliases, checks, limits, names, pages
from modelkeep.service import access as asking
from modelkeep.service import changes, tokens
from modelkeep.transport import convert, convert_access, page_tokens
from modelkeep.v1 import access_service_pb2 as pb


def test_permissions(request: pb.TestPermissionsRequest) -> asking.Question:
    """Argument of `Access.test`."""
    with checks.Checks() as found:
        resource = found.make(
            "resource", partial(convert_access.resource_from_wire, request.resource)
        )
        found.size("actions", request.actions, limits.TESTED_ACTIONS, least=1)
    alias = resource.alias if isinstance(resource, names.AliasName) else request.alias
    return asking.Question(tuple(request.actions), resource, request.stage, alias)


def create_token(
    request: pb.CreateTokenRequest, principal: str
) -> tuple[changes.Once, access.TokenFields]:
    """Arguments of `Tokens.create`, where the caller is this principal."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "CreateToken", request))
        fields = found.make(
            "token", partial(convert_access.token_fields_from_wire, request.token, principal)
        )
    return once, fields


def list_tokens(
    reading: page_tokens.PageTokens, request: pb.ListTokensRequest
) -> tuple[str, pages.PageRequest]:
    """Arguments of `Tokens.list`."""
    with checks.Checks() as found:
        if request.principal not in {"", tokens.ALL}:
            access.check_principal(found, "principal", request.principal, group=False)
        page = found.make("", partial(reading.read, request))
    return request.principal, page


def revoke_token(request: pb.RevokeTokenRequest) -> tuple[changes.Once, access.TokenName]:
    """Arguments of `Tokens.revoke`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "RevokeToken", request))
        name = found.make("name", partial(access.TokenName.parse, request.name))
    return once, name


def create_binding(
    request: pb.CreateRoleBindingRequest,
) -> tuple[changes.Once, access.BindingFields]:
    """Arguments of `Bindings.create`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "CreateRoleBinding", request))
        fields = found.make(
            "binding", partial(convert_access.binding_fields_from_wire, request.binding)
        )
    return once, fields


def list_bindings(
    reading: page_tokens.PageTokens, request: pb.ListRoleBindingsRequest
) -> tuple[aliases.Owner | None, str, pages.PageRequest]:
    """Arguments of `Bindings.list`."""
    with checks.Checks() as found:
        place = found.make("parent", partial(convert_access.place_from_wire, request.parent))
        if request.principal:
            access.check_principal(found, "principal", request.principal, group=True)
        page = found.make("", partial(reading.read, request))
    return place, request.principal, page


def delete_binding(
    request: pb.DeleteRoleBindingRequest,
) -> tuple[changes.Once, access.BindingName]:
    """Arguments of `Bindings.delete`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "DeleteRoleBinding", request))
        name = found.make("name", partial(access.BindingName.parse, request.name))
    return once, name
