"""Who is calling, in which request."""

import enum
from contextvars import ContextVar
from dataclasses import dataclass


class Role(enum.StrEnum):
    """What a caller is, for the policy table."""

    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    Attributes:
        principal: who; this is what `creator` and `actor` fields show.
        roles: what the policy table decides by.
        client: network address and client program, as the server saw them.
        request_id: id of this call in logs, errors and the audit log.
    """

    principal: str
    roles: frozenset[Role]
    client: str
    request_id: str


LOCAL_OWNER = "local-owner"
"""The one built-in principal; it may do everything."""

SYSTEM = "system"
"""The actor of what the registry does by itself; it cannot call."""

_current: ContextVar[Caller] = ContextVar("caller")


def local_owner(client: str, request_id: str) -> Caller:
    """The built-in caller of a server without access control."""
    return Caller(LOCAL_OWNER, frozenset({Role.OWNER}), client, request_id)


def reaper() -> Caller:
    """Who stands in the audit log for what the reaper does."""
    return Caller(SYSTEM, frozenset(), "reaper", "")


def deliverer() -> Caller:
    """Who stands in the audit log for what the delivery of webhooks does."""
    return Caller(SYSTEM, frozenset(), "webhooks", "")


def set_current(caller: Caller) -> None:
    """Make this the caller of the running call."""
    _current.set(caller)


def current() -> Caller:
    """The caller of the running call."""
    return _current.get()
