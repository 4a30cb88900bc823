"""The client of bench_unary, in a process of its own: runs the loads it reads from stdin.

One JSON object a line in, one out. Messages stay bytes on this side, for ours and for the peer.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc

_TIMEOUT_S = 30.0
"""As the SDK has it; a server without a deadline from its caller has to keep one itself."""
COUNTER = b"10000000"
"""Wherever a request has these digits it gets new ones of the same length for each call."""


@dataclass(frozen=True, slots=True)
class Load:
    """`at_once` callers, each sending its next request when the one before is answered.

    Each caller has a request of its own, or goes through all of them if `rotate`. They share
    so many connections.
    """

    endpoint: str
    method: str
    requests: list[bytes]
    at_once: int
    seconds: float
    rotate: bool = False
    connections: int = 1
    token: str = field(default="", repr=False)
    latencies_ms: list[float] = field(default_factory=list)

    async def run(self, counter: Iterator[int]) -> dict[str, Any]:
        """Rate per second, and p50 and p99 in milliseconds, of all calls begun within the time."""
        async with contextlib.AsyncExitStack() as stack:
            calls = [await self._connected(stack) for _ in range(self.connections)]
            for call in calls:
                first = await call(self._request(0, counter), wait_for_ready=True, timeout=30)
            began = time.perf_counter()
            callers = (
                self._call(calls[n % len(calls)], n, counter, began) for n in range(self.at_once)
            )
            await asyncio.gather(*callers)
            took_s = time.perf_counter() - began
        return {
            "calls": len(self.latencies_ms),
            "rate": len(self.latencies_ms) / took_s,
            "p50_ms": statistics.median(self.latencies_ms),
            "p99_ms": statistics.quantiles(self.latencies_ms, n=100)[98],
            "request_bytes": len(self.requests[0]),
            "response_bytes": len(first),
        }

    async def _connected(self, stack: contextlib.AsyncExitStack) -> Any:
        """The call, over a connection that no other has."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(self.endpoint, options)
        await stack.enter_async_context(channel)
        return self._presenting(channel.unary_unary(self.method))

    def _presenting(self, call: Any) -> Any:
        """The call with our token in its metadata."""
        if not self.token:
            return call
        metadata = (("authorization", f"Bearer {self.token}"),)
        return functools.partial(call, metadata=metadata)

    async def _call(self, call: Any, caller: int, counter: Iterator[int], began: float) -> None:
        turn = caller
        while (sent := time.perf_counter()) < began + self.seconds:
            await call(self._request(turn, counter), timeout=_TIMEOUT_S)
            turn += self.rotate
            self.latencies_ms.append((time.perf_counter() - sent) * 1000)

    def _request(self, turn: int, counter: Iterator[int]) -> bytes:
        request = self.requests[turn % len(self.requests)]
        return request.replace(COUNTER, b"%d" % next(counter)) if COUNTER in request else request


async def main() -> None:
    """Run loads until stdin ends."""
    counter = itertools.count(int(COUNTER) + 1)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        asked["requests"] = [bytes.fromhex(request) for request in asked["requests"]]
        print(json.dumps(await Load(**asked).run(counter)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
