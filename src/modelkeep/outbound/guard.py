"""Sockets that connect to addresses we may connect to only, and names resolved apart."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import aiohttp.abc

from modelkeep.domain import addresses

_RESOLVER_THREADS = 8
AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class Forbidden(OSError):
    """The address is not one we may connect to; the message says why and what would allow it."""


class Guard:
    """Makes the socket for an address, which is then the address connected to.

    So whatever a name resolved to a moment ago, or however a host is spelt, what is checked is
    where the connection goes.

    Args:
        allowed: networks that are allowed although they are not public.
    """

    def __init__(self, allowed: Sequence[addresses.Network]) -> None:
        self._allowed = tuple(allowed)

    def socket_for(self, info: AddressInfo) -> socket.socket:
        """A socket for that address, or `Forbidden`."""
        family, kind, protocol, _, sockaddr = info
        address = addresses.literal(str(sockaddr[0]))
        if address is None or not addresses.is_allowed(address, self._allowed):
            raise Forbidden(
                f"{sockaddr[0]} is not an address of the public internet; "
                "MODELKEEP_WEBHOOK_ALLOWED_NETWORKS can allow its network"
            )
        opened = socket.socket(family, kind, protocol)
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened


class Resolver(aiohttp.abc.AbstractResolver):
    """Looks names up in threads of its own, so that a slow name server delays nobody else."""

    def __init__(self) -> None:
        self._pool = futures.ThreadPoolExecutor(_RESOLVER_THREADS, "modelkeep-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp.abc.ResolveResult]:
        """The addresses of a name; raises OSError."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._pool, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM
        )
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host=str(sockaddr[0]),
                port=int(sockaddr[1]),
                family=found_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, protocol, _, sockaddr in found
        ]

    async def close(self) -> None:
        """Let go of the threads; one that still waits for an answer ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
