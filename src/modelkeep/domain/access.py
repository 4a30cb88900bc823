"""Roles and where they hold, who can have them, and API tokens."""

import datetime
import enum
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from modelkeep.domain import checks, errors, limits, stages


class Role(enum.StrEnum):
    """What somebody can be given."""

    READER = "reader"
    CONTRIBUTOR = "contributor"
    APPROVER = "approver"
    DEPLOYER = "deployer"
    ADMIN = "admin"
    AUDITOR = "auditor"


ANY = "*"
"""Every namespace, or every model of a namespace."""
LIMITABLE = frozenset({Role.CONTRIBUTOR, Role.APPROVER, Role.DEPLOYER})
"""Roles that can be given for one stage or one alias only."""

_PRINCIPAL = re.compile(r"(user|service|group):[A-Za-z0-9][A-Za-z0-9._@+:/=|~-]*")
_TOKEN = re.compile(r"mk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_ID = re.compile(r"[0-9a-f]{16}")
_ID_BYTES = 8
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, and where it holds.

    Attributes:
        role: which.
        namespace: id of the namespace; `*` is the registry as a whole.
        model: id of the model; `*` is all of the namespace.
        stage: if set, only moves to this stage are granted, and reading.
        alias: if set, only changes of this alias are granted, and reading.
    """

    role: Role
    namespace: str = ANY
    model: str = ANY
    stage: str = ""
    alias: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            if self.namespace != ANY:
                found.id("namespace", self.namespace)
            if self.model != ANY:
                found.id("model", self.model)
                found.require(self.namespace != ANY, "model", "needs the namespace it is in")
            self._check_limit(found)

    def _check_limit(self, found: checks.Checks) -> None:
        if self.stage:
            known = ", ".join(stages.STAGES)
            what = f"{checks.shown(self.stage)} is not a stage; there are {known}"
            found.require(self.stage in stages.STAGES, "stage", what)
            found.require(not self.alias, "alias", "does not go with a stage; grant twice")
        if self.alias:
            found.id("alias", self.alias)
        limited = "stage" if self.stage else "alias"
        found.require(
            not (self.stage or self.alias) or self.role in LIMITABLE,
            limited,
            f"limits the roles {', '.join(sorted(LIMITABLE))} only",
        )

    def __str__(self) -> str:
        place = self.namespace if self.model == ANY else f"{self.namespace}/{self.model}"
        limit = f" stage {self.stage}" if self.stage else f" alias {self.alias}"
        return f"{self.role} on {place}" + (limit if self.stage or self.alias else "")


def check_principal(found: checks.Checks, name: str, principal: str, *, group: bool) -> None:
    """Note what is no `user:alice`, `service:ci` or, if these are allowed, `group:ml`."""
    fits = len(principal) <= limits.NAME_CHARS and _PRINCIPAL.fullmatch(principal) is not None
    kinds = "user:NAME, service:NAME or group:NAME" if group else "user:NAME or service:NAME"
    found.require(
        fits and (group or not principal.startswith("group:")),
        name,
        f"{checks.shown(principal)} is not a principal: expected {kinds}",
    )


def is_nameable(principal: str) -> bool:
    """Whether something can be given to this principal, which a built-in one does not allow."""
    return _PRINCIPAL.fullmatch(principal) is not None


@dataclass(frozen=True, slots=True)
class TokenFields:
    """What is said of a token when it is made, and never changes.

    Attributes:
        principal: whose it is.
        description: what for.
        groups: whose roles it has besides those of the principal.
        scopes: what it is limited to; empty if to nothing.
        expires_at: when it ends; None for never.
    """

    principal: str
    description: str = ""
    groups: tuple[str, ...] = ()
    scopes: tuple[Grant, ...] = ()
    expires_at: datetime.datetime | None = None

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            check_principal(found, "principal", self.principal, group=False)
            found.text("description", self.description, limits.DESCRIPTION_CHARS)
            found.size("scopes", self.scopes, limits.TOKEN_SCOPES)
            found.size("groups", self.groups, limits.TOKEN_GROUPS)
            for number, group in enumerate(self.groups[: limits.TOKEN_GROUPS]):
                at = f"groups[{number}]"
                check_principal(found, at, group, group=True)
                found.require(group.startswith("group:"), at, "is not a group:NAME")


@dataclass(frozen=True, slots=True)
class TokenName:
    """`tokens/{16 hex digits}`."""

    token: str

    @classmethod
    def parse(cls, text: str) -> "TokenName":
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(_id_of(text, "tokens"))

    def __str__(self) -> str:
        return f"tokens/{self.token}"


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret, which nobody keeps."""

    name: TokenName
    fields: TokenFields
    creator: str
    created_at: datetime.datetime
    last_used_at: datetime.datetime | None = None
    revoked_at: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class BindingName:
    """`bindings/{16 hex digits}`."""

    binding: str

    @classmethod
    def parse(cls, text: str) -> "BindingName":
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(_id_of(text, "bindings"))

    def __str__(self) -> str:
        return f"bindings/{self.binding}"


@dataclass(frozen=True, slots=True)
class BindingFields:
    """Who is given what, and why."""

    principal: str
    grant: Grant
    reason: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            check_principal(found, "principal", self.principal, group=True)
            found.text("reason", self.reason, limits.REASON_CHARS, layout=True)


@dataclass(frozen=True, slots=True)
class Binding:
    """What somebody was given."""

    name: BindingName
    fields: BindingFields
    creator: str
    created_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Secret:
    """The text of a new token; it is shown once and kept nowhere."""

    token_id: str
    text: str = field(repr=False)

    @property
    def sha256(self) -> bytes:
        """What is stored of it."""
        return digest(self.text)


def new_id() -> str:
    """An id that nobody else has, 16 hex digits."""
    return secrets.token_hex(_ID_BYTES)


def new_secret() -> Secret:
    """A token of 256 random bits."""
    token_id = new_id()
    return Secret(token_id, f"mk_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}")


def token_id_of(text: str) -> str:
    """The id within what looks like one of our tokens; '' if it does not."""
    matched = _TOKEN.fullmatch(text)
    return matched[1] if matched else ""


def digest(text: str) -> bytes:
    """SHA-256 of a token's text.

    Enough for 256 random bits: nobody can try them out, so a slow hash would only slow us down.
    """
    return hashlib.sha256(text.encode()).digest()


def matches(text: str, sha256: bytes) -> bool:
    """Whether this is the token of that hash; takes as long whatever the difference is."""
    return hmac.compare_digest(digest(text), sha256)


def _id_of(text: str, collection: str) -> str:
    before, _, last = text.rpartition("/")
    if before != collection or _ID.fullmatch(last) is None:
        raise errors.invalid(f"{checks.shown(text)} does not match {collection}/{{16 hex digits}}")
    return last
