"""A channel whose every call carries a token.

Not an interceptor: gRPC leads an intercepted stream through queues of its own, which bulk feels.
"""

from collections.abc import Callable
from typing import Any, Self

import grpc

_Call = Callable[..., Any]


class BearingChannel(grpc.aio.Channel):
    """Another channel, with an `authorization` added to each call's metadata.

    Args:
        channel: what carries the calls.
        bearer: gives the value to add, once for each call.
    """

    def __init__(self, channel: grpc.aio.Channel, bearer: Callable[[], str]) -> None:
        self._channel = channel
        self._bearer = bearer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """End the channel; calls under way get `grace` seconds."""
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The channel's state."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another one."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel is connected."""
        await self._channel.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """A method of one request and one answer."""
        return self._bearing(self._channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A method of one request and many answers."""
        return self._bearing(self._channel.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """A method of many requests and one answer."""
        return self._bearing(self._channel.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A method of many requests and many answers."""
        return self._bearing(self._channel.stream_stream(*args, **kwargs))

    def _bearing(self, method: _Call) -> _Call:
        def call(*args: Any, metadata: Any = None, **kwargs: Any) -> Any:
            borne = (*(metadata or ()), ("authorization", self._bearer()))
            return method(*args, metadata=borne, **kwargs)

        return call
