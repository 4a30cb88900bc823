"""Addresses that several processes listen on together: found free once, then held for them."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from modelkeep.domain import errors


@contextlib.contextmanager
def held(listen: str) -> Iterator[str]:
    """Keep an address from others inside the block; yields its `host:port`, never with port 0.

    What holds it does not listen, so the kernel sends no connection its way. Only processes of the
    same user that share ports on purpose (SO_REUSEPORT) can listen there.

    Raises `errors.Unavailable` if somebody listens there already, or it is not ours.
    """
    host, _, port = listen.rpartition(":")
    number = int(port)
    with contextlib.ExitStack() as stack:
        try:
            for family, (address, _, *rest) in _resolved(host, number):
                if number:  # whoever shares it with nobody would be told that it is taken
                    _bound((family, (address, number, *rest)), stack, shared=False).close()
                made = _bound((family, (address, number, *rest)), stack, shared=True)
                number = made.getsockname()[1]
        except OSError as error:
            raise errors.Unavailable(
                f"cannot listen on {listen}: {error.strerror or error}"
            ) from None
        yield f"{host}:{number}"


_Place = tuple[socket.AddressFamily, Any]


def _resolved(host: str, port: int) -> Sequence[_Place]:
    found = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return [(family, address) for family, _, _, _, address in found]


def _bound(place: _Place, stack: contextlib.ExitStack, *, shared: bool) -> socket.socket:
    family, address = place
    made = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(address)
    return made
