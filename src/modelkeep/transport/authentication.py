"""From what came with a call to who is calling and what they were given."""

import functools
import secrets
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from modelkeep.authz import caller as callers
from modelkeep.authz import identity
from modelkeep.domain import errors, limits
from modelkeep.transport import tls

if TYPE_CHECKING:
    import grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Authenticator = identity.Authenticator
Presented = identity.Presented
Identity = identity.Identity

REQUEST_ID = "x-request-id"
PUBLIC = frozenset({"GetCapabilities"})
"""Methods that anybody may call: they tell nothing about what is stored."""
STANDING_S = 5.0
"""How often a stream's caller is looked at again."""
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from: what was presented, the client, the request's id."""

    presented: Presented
    client: str
    request_id: str


class Authentication:
    """Finds out who is calling.

    Args:
        ways: the ways in, in the order in which they are asked.
        source: knows what was granted.
        anonymous: the role of who presents nothing; None lets nobody in without credentials.
    """

    def __init__(
        self,
        ways: Sequence[Authenticator],
        source: identity.GrantSource,
        anonymous: callers.Role | None = None,
    ) -> None:
        self._ways = tuple(ways)
        self._source = source
        self._anonymous = anonymous

    async def caller(self, origin: Origin, method: str) -> callers.Caller:
        """Who is calling; raises `errors.Unauthenticated`."""
        found = await self._identify(origin.presented)
        if found is None:
            return self._without_credentials(origin, method)
        given = await self._source.grants_of(found.principal, found.groups)
        return callers.Caller(
            found.principal,
            origin.client,
            origin.request_id,
            found.groups,
            found.token_id,
            given,
            found.scopes,
        )

    async def _identify(self, presented: Presented) -> Identity | None:
        for way in self._ways:
            found = await way.identify(presented)
            if found is not None:
                return found
        if presented.bearer:
            raise errors.Unauthenticated(
                "the credentials are of no kind that this server takes",
                reason="UNKNOWN_CREDENTIALS",
            )
        return None

    def _without_credentials(self, origin: Origin, method: str) -> callers.Caller:
        if self._anonymous is not None:
            return callers.anonymous(self._anonymous, origin.client, origin.request_id)
        if method in PUBLIC:
            return callers.Caller(callers.NOBODY, origin.client, origin.request_id)
        raise errors.Unauthenticated(
            "no credentials came with the call; `modelkeep login` keeps a token for this server, "
            "MODELKEEP_TOKEN names one, other clients send `authorization: Bearer TOKEN`",
            reason="NO_CREDENTIALS",
        )


class Standing:
    """Looks now and then whether who began a stream is still let in, and to the same things.

    Args:
        authenticating: finds out who is calling.
        origin: where the stream comes from.
        method: which it is.
        began: who began it.
        interval_s: how often to look, in seconds.
    """

    def __init__(
        self,
        authenticating: Authentication,
        origin: Origin,
        method: str,
        began: callers.Caller,
        interval_s: float,
    ) -> None:
        self._authenticating = authenticating
        self._origin = origin
        self._method = method
        self._began = began
        self._interval_s = interval_s
        self._due_s = time.monotonic() + interval_s

    async def require(self) -> None:
        """Raise `errors.Unauthenticated`, or `errors.Unavailable` if anything has changed."""
        if time.monotonic() < self._due_s:
            return
        now = await self._authenticating.caller(self._origin, self._method)
        if _what_is_held(now) != _what_is_held(self._began):
            raise errors.Unavailable(
                "what the caller may do has changed; call again", reason="ACCESS_CHANGED"
            )
        self._due_s = time.monotonic() + self._interval_s


def _what_is_held(caller: callers.Caller) -> tuple[object, ...]:
    return caller.principal, caller.groups, frozenset(caller.grants), frozenset(caller.scopes)


def origin_of(context: Context) -> Origin:
    """Where a call comes from."""
    metadata = dict(context.invocation_metadata() or ())
    address = _address(context.peer())
    agent = str(metadata.get("user-agent", "unknown client"))[: limits.NAME_CHARS]
    bearer = _bearer(metadata.get("authorization", ""))
    # A token counts instead of a certificate, which takes gRPC a while to tell.
    names = () if bearer else tls.peer_names(context)
    presented = Presented(bearer, names, address)
    return Origin(presented, f"{address} {agent}", _request_id(metadata.get(REQUEST_ID, "")))


def _bearer(header: str | bytes) -> str:
    if not isinstance(header, str) or header[: len(_SCHEME)].lower() != _SCHEME:
        return ""
    return header[len(_SCHEME) :].strip()


def _request_id(wanted: str | bytes) -> str:
    text = str(wanted)
    if text.isascii() and text.isprintable() and 0 < len(text) <= limits.REQUEST_ID_CHARS:
        return text
    return secrets.token_hex(8)


@functools.lru_cache(1024)
def _address(peer: str) -> str:
    """`host:port` of the peer, which gRPC writes as `ipv4:host:port` and percent-encoded."""
    return urllib.parse.unquote(peer).removeprefix("ipv4:").removeprefix("ipv6:")
