"""One unary call: a deadline, a retry that is safe, errors in the SDK's words."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import grpc

from modelkeep.client import errors, patience, rpc_errors

DEFAULT_TIMEOUT_S = 30.0
_Request = TypeVar("_Request", contravariant=True)  # noqa: PLC0105 - private, its role is plain
_Response = TypeVar("_Response", covariant=True)  # noqa: PLC0105 - private, its role is plain


class Method(Protocol[_Request, _Response]):
    """A unary method of a stub."""

    def __call__(self, request: _Request, /, *, timeout: float | None) -> Awaitable[_Response]:
        """Send the request."""
        ...


def new_request_id() -> str:
    """An id under which a mutation may be repeated safely."""
    return uuid.uuid4().hex


async def plain_reading(lost: grpc.aio.AioRpcError) -> errors.RegistryError:
    """What a failed call means, by what it says alone."""
    return rpc_errors.from_rpc(lost)


class Caller:
    """Makes unary calls.

    Args:
        timeout_s: their default deadline, in seconds.
        explain: finds out what a failed call means.
    """

    def __init__(
        self,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        explain: Callable[[grpc.aio.AioRpcError], Awaitable[errors.RegistryError]] = plain_reading,
    ) -> None:
        self.timeout_s = timeout_s
        self.explain = explain

    async def __call__(
        self,
        method: Method[_Request, _Response],
        request: _Request,
        *,
        timeout_s: float | None = None,
    ) -> _Response:
        """The method's answer; a server that is asked too fast is asked again when it says so.

        Raises:
            RegistryError: the call failed.
        """
        left_s = timeout_s or self.timeout_s
        until = time.monotonic() + left_s
        while True:
            try:
                return await method(request, timeout=left_s)
            except grpc.aio.AioRpcError as failure:
                error = await self.explain(failure)
                pause_s = patience.pause_s(error)
                left_s = until - time.monotonic() - pause_s
                if not pause_s or left_s <= 0:
                    raise error from failure
            await asyncio.sleep(pause_s)
