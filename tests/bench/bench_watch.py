"""What watchers cost that have nothing to hear, and how soon many hear of an event."""

import argparse
import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import report
import rig

from modelkeep import client
from modelkeep.v1 import event_service_pb2 as pb
from modelkeep.v1 import event_service_pb2_grpc as pb_grpc

IDLE = 5000
LISTENING = 100
IDLE_TARGET = 5.0
DELAY_TARGET_MS = 500.0
_STREAMS_PER_CHANNEL = 100
_OPENED_AT_ONCE = 200


@dataclass
class Watchers:
    """Streams of one namespace; `delays_ms` has each event's way from its transaction to here."""

    started: int = 0
    events: int = 0
    delays_ms: list[float] = field(default_factory=list)

    async def follow(self, stub: Any, namespace: str, opening: asyncio.Semaphore) -> None:
        """Read one stream until cancelled."""
        async with opening:
            stream = stub.Watch(pb.WatchRequest(parent=f"namespaces/{namespace}"))
            await stream.read()
            self.started += 1
        while (answer := await stream.read()) is not grpc.aio.EOF:
            if answer.HasField("event"):
                happened_s = answer.event.create_time.ToNanoseconds() / 1e9
                self.delays_ms.append((time.time() - happened_s) * 1000)
                self.events += 1


@contextlib.asynccontextmanager
async def watching(endpoint: str, namespace: str, count: int) -> AsyncIterator[Watchers]:
    """So many watchers that have all begun; they end with the block."""
    watchers, opening = Watchers(), asyncio.Semaphore(_OPENED_AT_ONCE)
    async with contextlib.AsyncExitStack() as stack:
        tasks = []
        for number in range(count):
            if number % _STREAMS_PER_CHANNEL == 0:
                options = [("grpc.use_local_subchannel_pool", 1)]
                channel = grpc.aio.insecure_channel(endpoint, options=options)
                stub: Any = pb_grpc.EventServiceStub(await stack.enter_async_context(channel))
            tasks.append(asyncio.create_task(watchers.follow(stub, namespace, opening)))
        try:
            await _until(lambda: watchers.started == count)
            yield watchers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def measure(idle: int, idle_s: float, events: int) -> list[report.Figure]:
    """Both figures, in one run on one server."""
    async with rig.running() as running, client.connect(running.endpoint) as registry:
        for namespace in ("quiet", "busy"):
            await registry.create_namespace(namespace)
        alone = await _cpu_percent(running.server_pid, idle_s)
        async with watching(running.endpoint, "quiet", idle):
            rss_mib = running.rss_mib()
            together = await _cpu_percent(running.server_pid, idle_s)
        figures = [_idle_figure(alone, together, idle, rss_mib)]
        async with watching(running.endpoint, "busy", LISTENING) as watchers:
            await _busy(registry, events)
            await _until(lambda: watchers.events == events * LISTENING)
        return [*figures, _delay_figure(watchers.delays_ms, events)]


async def _busy(registry: client.Registry, events: int) -> None:
    for number in itertools.count(1):
        await registry.update_namespace("busy", description=f"change {number}")
        if number == events:
            return
        await asyncio.sleep(0.02)


async def _cpu_percent(pid: int, seconds: float) -> float:
    began, used = time.perf_counter(), rig.cpu_s(pid)
    await asyncio.sleep(seconds)
    return 100 * (rig.cpu_s(pid) - used) / (time.perf_counter() - began)


def _idle_figure(alone: float, together: float, idle: int, rss_mib: float) -> report.Figure:
    return report.Figure(
        name="watch_idle",
        title=f"{idle:,} idle watchers, of one core",
        unit="%",
        ours=together,
        target=IDLE_TARGET,
        details={"percent_without_watchers": alone, "watchers": idle, "server_rss_mib": rss_mib},
    )


def _delay_figure(delays_ms: list[float], events: int) -> report.Figure:
    cuts = statistics.quantiles(delays_ms, n=100)
    return report.Figure(
        name="watch_delay",
        title=f"an event at {LISTENING} watchers, p99",
        unit="ms",
        ours=cuts[98],
        target=DELAY_TARGET_MS,
        details={"p50_ms": cuts[49], "max_ms": max(delays_ms), "events": events},
    )


async def _until(condition: Any) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - counted by many tasks
            await asyncio.sleep(0.01)


async def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=int, default=IDLE, help="idle watchers")
    parser.add_argument("--seconds", type=float, default=60, help="how long they are idle")
    parser.add_argument("--events", type=int, default=200, help="events that are timed")
    chosen = parser.parse_args()
    figures = await measure(chosen.idle, chosen.seconds, chosen.events)
    report.keep(figures)
    print(report.table(figures))
    for figure in figures:
        print(figure.name, figure.details)


if __name__ == "__main__":
    rig.main(main)
