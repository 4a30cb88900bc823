"""Who is calling, in which request, and what was granted to them."""

from contextvars import ContextVar
from dataclasses import dataclass

from modelkeep.domain import access

Role = access.Role
Grant = access.Grant
ANY = access.ANY


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    Attributes:
        principal: who; this is what `creator` and `actor` fields show.
        client: network address and client program, as the server saw them.
        request_id: id of this call in logs, errors and the audit log.
        groups: what the caller belongs to, as `group:ml`.
        token_id: id of the API token that was presented, or ''.
        grants: what the principal and its groups were given.
        scopes: what the credentials are limited to; empty if to nothing.
    """

    principal: str
    client: str
    request_id: str
    groups: frozenset[str] = frozenset()
    token_id: str = ""
    grants: tuple[Grant, ...] = ()
    scopes: tuple[Grant, ...] = ()

    @property
    def credential(self) -> str:
        """What was presented, as the audit log has it; '' if it has no name."""
        return f"token:{self.token_id}" if self.token_id else ""


ANONYMOUS = "anonymous"
"""Who presents nothing, if the configuration lets them in."""

NOBODY = "nobody"
"""Who presents nothing and calls what is open to all."""

SYSTEM = "system"
"""The actor of what the registry does by itself; it cannot call."""

_current: ContextVar[Caller] = ContextVar("caller")


def anonymous(role: Role, client: str, request_id: str) -> Caller:
    """The caller who presents nothing, with that role everywhere."""
    return Caller(ANONYMOUS, client, request_id, grants=(Grant(role),))


def reaper() -> Caller:
    """Who stands in the audit log for what the reaper does."""
    return Caller(SYSTEM, "reaper", "")


def deliverer() -> Caller:
    """Who stands in the audit log for what the delivery of webhooks does."""
    return Caller(SYSTEM, "webhooks", "")


def set_current(caller: Caller) -> None:
    """Make this the caller of the running call."""
    _current.set(caller)


def current() -> Caller:
    """The caller of the running call."""
    return _current.get()
