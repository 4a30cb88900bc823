"""Crossings of tokens, roles and where they hold."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.domain import access, aliases, audit, checks, errors, names
from modelkeep.transport import convert
from modelkeep.v1 import access_service_pb2 as pb

ROLES = {
    pb.ROLE_READER: access.Role.READER,
    pb.ROLE_CONTRIBUTOR: access.Role.CONTRIBUTOR,
    pb.ROLE_APPROVER: access.Role.APPROVER,
    pb.ROLE_DEPLOYER: access.Role.DEPLOYER,
    pb.ROLE_ADMIN: access.Role.ADMIN,
    pb.ROLE_AUDITOR: access.Role.AUDITOR,
}


def grant_from_wire(wire: pb.Grant) -> access.Grant:
    """The role and where it holds, or `errors.InvalidArgument`."""
    found = checks.Checks()
    role = found.make("role", functools.partial(convert.enum_from_wire, wire.role, ROLES))  # type: ignore[arg-type]
    place = found.make("resource", functools.partial(place_from_wire, wire.resource))
    namespace = place.namespace if place else access.ANY
    model = place.model if isinstance(place, names.ModelName) else access.ANY
    return found.finish(lambda: access.Grant(role, namespace, model, wire.stage, wire.alias))


def grant_to_wire(grant: access.Grant) -> pb.Grant:
    """The message of a role and where it holds."""
    resource = ""
    if grant.namespace != access.ANY:
        resource = f"namespaces/{grant.namespace}"
    if grant.model != access.ANY:
        resource += f"/models/{grant.model}"
    role = convert.enum_to_wire(grant.role, ROLES)  # type: ignore[arg-type]
    return pb.Grant(role=role, resource=resource, stage=grant.stage, alias=grant.alias)  # type: ignore[arg-type]


def place_from_wire(text: str) -> aliases.Owner | None:
    """Where a role can hold; None for the registry."""
    if not text:
        return None
    if "/models/" in text:
        return names.ModelName.parse(text)
    return names.NamespaceName.parse(text)


def resource_from_wire(text: str) -> names.Resource | None:
    """Any resource; None for the registry, whose audit log is one."""
    if not text or text == str(audit.ChainName.parse("namespaces/_registry")):
        return None
    for kind in _KINDS:
        try:
            return kind.parse(text)
        except errors.InvalidArgument:
            continue
    raise errors.invalid(f"{checks.shown(text)} is not the name of a resource")


_KINDS = (
    names.NamespaceName,
    names.ModelName,
    names.VersionName,
    names.AliasName,
    names.EvaluationName,
    names.FileName,
    names.BlobName,
    names.UploadName,
    names.WebhookName,
    names.DeliveryName,
)


def token_fields_from_wire(wire: pb.Token, principal: str) -> access.TokenFields:
    """What is said of a new token, whose it is unless that is said."""
    found = checks.Checks()
    scopes = found.make_each(
        "scopes", (functools.partial(grant_from_wire, scope) for scope in wire.scopes)
    )
    expires_at = None
    if wire.HasField("expire_time"):
        expires_at = found.make(
            "expire_time", functools.partial(convert.timestamp_from_wire, wire.expire_time)
        )
    return found.finish(
        lambda: access.TokenFields(
            wire.principal or principal, wire.description, tuple(wire.groups), scopes, expires_at
        )
    )


def token_to_wire(token: access.Token) -> pb.Token:
    """The message of a token."""
    fields = token.fields
    return pb.Token(
        name=str(token.name),
        principal=fields.principal,
        description=fields.description,
        groups=fields.groups,
        scopes=map(grant_to_wire, fields.scopes),
        expire_time=convert.timestamp_to_wire(fields.expires_at),
        creator=token.creator,
        create_time=convert.timestamp_to_wire(token.created_at),
        last_use_time=convert.timestamp_to_wire(token.last_used_at),
        revoke_time=convert.timestamp_to_wire(token.revoked_at),
    )


def binding_fields_from_wire(wire: pb.RoleBinding) -> access.BindingFields:
    """Who is to be given what, or `errors.InvalidArgument`."""
    found = checks.Checks()
    grant = found.make("grant", functools.partial(grant_from_wire, wire.grant))
    return found.finish(lambda: access.BindingFields(wire.principal, grant, wire.reason))


def binding_to_wire(binding: access.Binding) -> pb.RoleBinding:
    """The message of what somebody was given."""
    fields = binding.fields
    return pb.RoleBinding(
        name=str(binding.name),
        principal=fields.principal,
        grant=grant_to_wire(fields.grant),
        reason=fields.reason,
        creator=binding.creator,
        create_time=convert.timestamp_to_wire(binding.created_at),
    )


def caller_to_wire(caller: callers.Caller) -> pb.WhoAmIResponse:
    """The message of who is calling."""
    return pb.WhoAmIResponse(
        principal=caller.principal,
        groups=sorted(caller.groups),
        token=f"tokens/{caller.token_id}" if caller.token_id else "",
        grants=map(grant_to_wire, caller.grants),
        scopes=map(grant_to_wire, caller.scopes),
    )
