"""Between messages about access and the SDK's records."""

from datetime import datetime
from typing import Any

from modelkeep.client import access_records, answers, refs
from modelkeep.v1 import access_service_pb2 as pb

_ROLE = "ROLE_"


def grant_to_wire(grant: access_records.RoleGrant) -> pb.Grant:
    """The message of a role and where it holds."""
    return pb.Grant(
        role=pb.Role.Value(f"{_ROLE}{grant.role.upper()}"),
        resource=place_to_wire(grant.place),
        stage=grant.stage,
        alias=grant.alias,
    )


def place_to_wire(place: str) -> str:
    """The resource name of `acme` or `acme/voice`, or '' for the registry; or BadReference."""
    if not place:
        return ""
    ref = refs.parse_model(place) if "/" in place else refs.parse_namespace(place)
    return ref.model_name if ref.model else ref.namespace_name


def grant_from_wire(wire: pb.Grant) -> access_records.RoleGrant:
    """The record of a role; one that this client does not know is refused."""
    role = answers.member(access_records.Role, pb.Role, wire.role, _ROLE)
    place = refs.from_name(wire.resource) if wire.resource else ""
    return access_records.RoleGrant(role, place, wire.stage, wire.alias)


def token_from_wire(wire: pb.Token) -> access_records.AccessToken:
    """The record of a token."""
    return access_records.AccessToken(
        token_id=wire.name.rpartition("/")[2],
        principal=wire.principal,
        description=wire.description,
        groups=tuple(wire.groups),
        scopes=tuple(map(grant_from_wire, wire.scopes)),
        expires_at=_instant(wire, "expire_time"),
        creator=wire.creator,
        created_at=answers.instant(wire.create_time),
        last_used_at=_instant(wire, "last_use_time"),
        revoked_at=_instant(wire, "revoke_time"),
    )


def binding_from_wire(wire: pb.RoleBinding) -> access_records.RoleBinding:
    """The record of what somebody was given."""
    return access_records.RoleBinding(
        binding_id=wire.name.rpartition("/")[2],
        principal=wire.principal,
        grant=grant_from_wire(wire.grant),
        reason=wire.reason,
        creator=wire.creator,
        created_at=answers.instant(wire.create_time),
    )


def identity_from_wire(wire: pb.WhoAmIResponse) -> access_records.Identity:
    """The record of who is calling."""
    return access_records.Identity(
        wire.principal,
        tuple(wire.groups),
        wire.token.rpartition("/")[2],
        tuple(map(grant_from_wire, wire.grants)),
        tuple(map(grant_from_wire, wire.scopes)),
    )


def _instant(wire: Any, field: str) -> datetime | None:
    if not wire.HasField(field):
        return None
    return answers.instant(getattr(wire, field))
