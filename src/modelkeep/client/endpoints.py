"""Where a registry is, as people write it, and whether TLS goes there."""

import ipaddress
import re
from dataclasses import dataclass

from modelkeep.client import errors

DEFAULT = "127.0.0.1:7420"
_PORT_BY_SCHEME = {"": 7420, "grpcs": 7420, "https": 443}
_ENDPOINT = re.compile(r"(?:(https|grpcs)://)?(\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?/?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server's address.

    Attributes:
        target: `HOST:PORT`, an IPv6 address in brackets.
        is_secure: whether it is reached by TLS.
    """

    target: str
    is_secure: bool = False

    @property
    def host(self) -> str:
        """The host without brackets."""
        return self.target.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.target.rpartition(":")[2])

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(endpoint: str) -> Endpoint:
    """The endpoint of `HOST`, `HOST:PORT`, `[IPv6]:PORT`, `https://HOST:PORT` or `grpcs://...`.

    The port defaults to 7420, after `https://` to 443.

    Raises:
        InvalidRequest: it is none of these.
    """
    matched = _ENDPOINT.fullmatch(endpoint.strip())
    if matched is None or (matched[1] is None and endpoint.strip().endswith("/")):
        raise errors.InvalidRequest(
            f"{endpoint!r} is not an endpoint: write HOST:PORT, for example {DEFAULT}, or"
            " https://HOST:PORT for a server that speaks TLS.",
            reason="BAD_ENDPOINT",
        )
    scheme, host, port = matched[1] or "", matched[2], matched[3]
    return Endpoint(f"{host}:{port or _PORT_BY_SCHEME[scheme]}", bool(scheme))
