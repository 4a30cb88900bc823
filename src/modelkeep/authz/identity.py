"""Who somebody is, by what they present: what every way in has to answer."""

from dataclasses import dataclass
from typing import Protocol

from modelkeep.authz import caller as callers


@dataclass(frozen=True, slots=True)
class Presented:
    """What came with a call.

    Attributes:
        bearer: the text behind `authorization: Bearer`, or ''; never to be shown.
        certificate_names: subject alternative names of the peer's certificate, which TLS verified.
        address: `host:port` of the peer.
    """

    bearer: str = ""
    certificate_names: tuple[str, ...] = ()
    address: str = ""

    @property
    def is_nothing(self) -> bool:
        """Whether it says nothing about who is calling."""
        return not (self.bearer or self.certificate_names)

    def __repr__(self) -> str:
        shown = "***" if self.bearer else ""
        return f"Presented({shown!r}, {self.certificate_names!r}, {self.address!r})"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is.

    Attributes:
        principal: `user:alice` or `service:ci`.
        groups: what they belong to, as `group:ml`.
        token_id: id of the API token, or ''.
        scopes: what the credentials are limited to; empty if to nothing.
    """

    principal: str
    groups: frozenset[str] = frozenset()
    token_id: str = ""
    scopes: tuple[callers.Grant, ...] = ()


class Authenticator(Protocol):
    """One way in."""

    async def identify(self, presented: Presented) -> Identity | None:
        """Who presents this; None if it is nothing of this way.

        Raises `errors.Unauthenticated` if it is, and is not good: nobody else is asked then.
        """


class GrantSource(Protocol):
    """Knows what was granted."""

    async def grants_of(self, principal: str, groups: frozenset[str]) -> tuple[callers.Grant, ...]:
        """What the principal and the groups were given."""
