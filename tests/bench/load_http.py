"""Like load.py, for GET requests of HTTP/1.1: the client of the MLflow side.

Plain sockets that stay open, so that the client costs as little as it can.
"""

import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Load:
    """`at_once` callers, each sending its next request when the one before is answered."""

    endpoint: str
    paths: list[str]
    at_once: int
    seconds: float
    latencies_ms: list[float] = field(default_factory=list)

    async def run(self) -> dict[str, Any]:
        """Rate per second, and p50 and p99 in milliseconds, of all calls begun within the time."""
        began = time.perf_counter()
        await asyncio.gather(*(self._call(caller, began) for caller in range(self.at_once)))
        took_s = time.perf_counter() - began
        return {
            "calls": len(self.latencies_ms),
            "rate": len(self.latencies_ms) / took_s,
            "p50_ms": statistics.median(self.latencies_ms),
            "p99_ms": statistics.quantiles(self.latencies_ms, n=100)[98],
        }

    async def _call(self, caller: int, began: float) -> None:
        host, _, port = self.endpoint.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        path = self.paths[caller % len(self.paths)]
        request = f"GET {path} HTTP/1.1\r\nHost: {self.endpoint}\r\n\r\n".encode()
        while (sent := time.perf_counter()) < began + self.seconds:
            writer.write(request)
            await _answer(reader)
            self.latencies_ms.append((time.perf_counter() - sent) * 1000)
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """The body of an answer, whose length must be told; RuntimeError unless it is a 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(
        int(line.partition(":")[2])
        for line in head.split("\r\n")
        if line.startswith("content-length:")
    )
    body = await reader.readexactly(length)
    if not head.startswith("http/1.1 200"):
        raise RuntimeError(f"{head.splitlines()[0]}: {body[:200]!r}")
    return body


async def main() -> None:
    """Run loads until stdin ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await Load(**json.loads(line)).run()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
