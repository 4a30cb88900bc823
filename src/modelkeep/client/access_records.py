"""What the SDK shows of tokens and roles."""

import enum
from dataclasses import dataclass, field
from datetime import datetime


class Role(enum.StrEnum):
    """What somebody can be given; docs/access.md tells what each may do."""

    READER = "reader"
    CONTRIBUTOR = "contributor"
    APPROVER = "approver"
    DEPLOYER = "deployer"
    ADMIN = "admin"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role, and where it holds.

    Attributes:
        role: which.
        place: a namespace (`acme`), a model (`acme/voice`), or '' for the registry as a whole.
        stage: if set, only moves to this stage are granted, and reading.
        alias: if set, only changes of this alias are granted, and reading.
    """

    role: Role
    place: str = ""
    stage: str = ""
    alias: str = ""

    def __str__(self) -> str:
        limit = f" stage {self.stage}" if self.stage else f" alias {self.alias}"
        where = f"{self.role} on {self.place or 'everything'}"
        return where + (limit if self.stage or self.alias else "")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An API token, without its text.

    Attributes:
        token_id: 16 hex digits; part of the text.
        principal: whose it is.
        description: what for.
        groups: whose roles it has besides those of the principal.
        scopes: what it is limited to; empty if to nothing.
        expires_at: when it ends; None for never.
        creator: who made it.
        created_at: when.
        last_used_at: when it was last used, up to a minute late; None if never.
        revoked_at: when it was revoked; None if it was not.
    """

    token_id: str
    principal: str
    description: str
    groups: tuple[str, ...]
    scopes: tuple[RoleGrant, ...]
    expires_at: datetime | None
    creator: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made, with its text, which nobody can read again."""

    token: AccessToken
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoleBinding:
    """What somebody was given; `binding_id` is 16 hex digits."""

    binding_id: str
    principal: str
    grant: RoleGrant
    reason: str
    creator: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling.

    Attributes:
        principal: `user:alice`, or `anonymous`.
        groups: what it belongs to.
        token_id: id of the token that was presented; '' for other ways in.
        grants: what the principal and its groups were given.
        scopes: what the credentials are limited to; empty if to nothing.
    """

    principal: str
    groups: tuple[str, ...]
    token_id: str
    grants: tuple[RoleGrant, ...]
    scopes: tuple[RoleGrant, ...]
