"""The server under load: its memory, small calls beside uploads, its event loop, and a cut line."""

import asyncio
import contextlib
import dataclasses
import json
import re
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_unary
import report
import rig
import urllib3

from modelkeep import allocator, client

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import cutting_proxy

_MIB = 1 << 20
_PART_BYTES = 16 * _MIB
_LAG = "modelkeep_event_loop_lag_seconds"
_NAMESPACE = "bench-loaded"


@dataclass(frozen=True, slots=True)
class Size:
    """How much: uploads at once and their size, and how long small calls are measured."""

    at_once: int
    size_mib: int
    beside: int
    seconds: float
    rounds: int


FULL = Size(at_once=16, size_mib=512, beside=4, seconds=8, rounds=3)
QUICK = Size(at_once=4, size_mib=32, beside=2, seconds=1, rounds=1)


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the bench's own over the rig's database and store."""

    pid: int
    endpoint: str
    admin: str

    async def lag_counts(self) -> dict[float, float]:
        """How often the event loop was late by so many seconds or less, since the start."""
        page = f"{self.admin}metrics"
        answer = await asyncio.to_thread(urllib3.request, "GET", page, retries=False)
        found = re.findall(rf'{_LAG}_bucket{{le="([^"]+)"}} (\S+)', answer.data.decode())
        return {float(limit): float(count) for limit, count in found}


@contextlib.asynccontextmanager
async def server(running: rig.Rig, **settings: str) -> AsyncIterator[Server]:
    """A server as `modelkeep serve` is, with an admin port; killed at the end."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", "serve"),
        env=rig.clean_environ() | allocator.SETTINGS | _settings(running) | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        admin = (await rig.line_of(started)).split()[3]
        endpoint = (await rig.line_of(started)).split()[-1]
        yield Server(started.pid, endpoint, admin)
    finally:
        started.kill()
        await started.wait()


def _settings(running: rig.Rig) -> dict[str, str]:
    return {
        "MODELKEEP_DATABASE_URL": running.database_url,
        "MODELKEEP_S3_ENDPOINT": running.store.endpoint,
        "MODELKEEP_S3_ACCESS_KEY": running.store.access_key,
        "MODELKEEP_S3_SECRET_KEY": running.store.secret_key,
        "MODELKEEP_S3_SECURE": "false",
        "MODELKEEP_LISTEN": "127.0.0.1:0",
        "MODELKEEP_ADMIN_LISTEN": "127.0.0.1:0",
        "MODELKEEP_SCRUB_MIB_PER_S": "0",
        **rig.OPEN,
    }


@contextlib.asynccontextmanager
async def uploading(
    endpoint: str, size: Size, *, whole: bool, gives_way: bool = False
) -> AsyncIterator[dict[str, Any]]:
    """Uploads under way inside the block; their figures are in the dictionary after it."""
    told: dict[str, Any] = {}
    async with rig.program("uploading.py") as uploads, contextlib.AsyncExitStack() as stack:
        if gives_way:
            stack.enter_context(rig.giving_way(uploads.pid))
        asked = {
            "endpoint": endpoint,
            "namespace": _NAMESPACE,
            "size_mib": size.size_mib,
            "at_once": size.at_once if whole else size.beside,
            "whole": whole,
        }
        await _tell(uploads, json.dumps(asked))
        await rig.line_of(uploads)
        yield told
        if not whole:
            await _tell(uploads, "")
        told.update(json.loads(await rig.line_of(uploads)))


async def _tell(program: asyncio.subprocess.Process, text: str) -> None:
    if program.stdin is None:
        raise RuntimeError("the program has no pipe")
    program.stdin.write(text.encode() + b"\n")
    await program.stdin.drain()


async def measure(size: Size) -> list[report.Figure]:
    """Everything, on one rig."""
    async with rig.running() as running, client.connect(running.endpoint) as registry:
        await registry.create_namespace(_NAMESPACE)
        await bench_unary.seed(running)
        return [
            await _memory(running, size),
            *await _together(running, size),
            *await _apart(running, size),
            await _cut(running, size),
        ]


async def _memory(running: rig.Rig, size: Size) -> report.Figure:
    """Most memory of a server that takes many large uploads at once, all of which commit."""
    async with server(running) as ours:
        async with uploading(ours.endpoint, size, whole=True) as told:
            pass
        peak_mib = dataclasses.replace(running, server_pid=ours.pid).peak_rss_mib()
    if told["committed"] != size.at_once:
        raise RuntimeError(f"only {told['committed']} of {size.at_once} uploads were committed")
    return report.Figure(
        name="loaded_memory",
        title=f"memory, {size.at_once} uploads of {size.size_mib} MiB",
        unit="MiB",
        ours=peak_mib,
        target=400,
        details=told,
    )


async def _together(running: rig.Rig, size: Size) -> list[report.Figure]:
    """Small calls and uploads in one process."""
    async with server(running) as ours, rig.program("load.py") as load:
        began = await ours.lag_counts()
        await _calls(load, ours.endpoint, size.seconds)
        idle = await ours.lag_counts()
        figures = await _beside(running, "together", (ours.endpoint, ours.endpoint), size, 3.0)
        loaded = await ours.lag_counts()
    lag = report.Figure(
        name="loaded_loop_lag",
        title=f"event loop lag p99, {size.beside} uploads",
        unit="ms",
        ours=_quantile(_since(idle, loaded), 0.99) * 1000,
        target=20,
        details={"idle_ms": _quantile(_since(began, idle), 0.99) * 1000},
    )
    return [*figures, lag]


async def _apart(running: rig.Rig, size: Size) -> list[report.Figure]:
    """The same with a process for each of the two services."""
    async with (
        server(running, MODELKEEP_SERVICES="registry") as small,
        server(running, MODELKEEP_SERVICES="artifact") as bulk,
    ):
        return await _beside(running, "apart", (small.endpoint, bulk.endpoint), size, 1.5)


async def _beside(
    running: rig.Rig, name: str, endpoints: tuple[str, str], size: Size, target: float
) -> list[report.Figure]:
    """How many times longer the slowest of a hundred small calls takes beside uploads.

    First with everything on one machine. Then the store and the clients of the uploads give way to
    the rest, as they do on machines of their own: what is left is how we share our own time.
    """
    async with rig.program("load.py") as load:
        await _calls(load, endpoints[0], min(size.seconds, 1))  # to warm up
        near = [await _round(load, endpoints, size, gives_way=False) for _ in range(size.rounds)]
        store = running.store.child
        with rig.giving_way(store.pid) if store else contextlib.nullcontext():
            far = [await _round(load, endpoints, size, gives_way=True) for _ in range(size.rounds)]
    title = f"GetVersion p99, {size.beside} uploads / idle, services {name}"
    return [
        _times(near, name=f"loaded_{name}", title=title),
        _times(
            far,
            name=f"loaded_{name}_far",
            title=f"{title}, store and clients give way",
            target=target,
        ),
    ]


def _times(
    rounds: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    name: str,
    title: str,
    target: float | None = None,
) -> report.Figure:
    times = [loaded["p99_ms"] / idle["p99_ms"] for idle, loaded in rounds]
    return report.Figure(
        name=name,
        title=title,
        unit="times",
        ours=statistics.median(times),
        low=min(times),
        high=max(times),
        rounds=len(times),
        target=target,
        details={"rounds": rounds},
    )


async def _round(
    load: asyncio.subprocess.Process, endpoints: tuple[str, str], size: Size, *, gives_way: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Small calls at the first endpoint without and with uploads at the second."""
    small, bulk = endpoints
    idle = await _calls(load, small, size.seconds)
    async with uploading(bulk, size, whole=False, gives_way=gives_way) as told:
        loaded = await _calls(load, small, size.seconds)
    return idle, loaded | {"uploads_mib_per_s": told["mib_per_s"]}


async def _calls(load: asyncio.subprocess.Process, endpoint: str, seconds: float) -> dict[str, Any]:
    """GetVersion by one caller, who asks again when he is answered."""
    call = bench_unary.calls()[0]
    asked = {
        "endpoint": endpoint,
        "method": f"/modelkeep.v1.RegistryService/{call.method}",
        "requests": [request.SerializeToString().hex() for request in call.requests],
        "at_once": 1,
        "seconds": seconds,
    }
    await _tell(load, json.dumps(asked))
    answered: dict[str, Any] = json.loads(await rig.line_of(load))
    return answered


def _since(before: dict[float, float], after: dict[float, float]) -> dict[float, float]:
    return {limit: count - before[limit] for limit, count in after.items()}


def _quantile(counts: dict[float, float], share: float) -> float:
    """A quantile of cumulated counts by their upper limits, linear between two of them."""
    wanted = counts[float("inf")] * share
    low = below = 0.0
    for limit, count in sorted(counts.items()):
        if count >= wanted:
            return low + (limit - low) * (wanted - below) / max(count - below, 1)
        low, below = limit, count
    return low


async def _cut(running: rig.Rig, size: Size) -> report.Figure:
    """Bytes sent again after the line is cut at nine tenths of a file."""
    source = running.directory / "cut.bin"
    with source.open("wb") as file:
        file.truncate(size.size_mib * _MIB)
    async with (
        cutting_proxy.running(running.endpoint) as proxy,
        client.connect(proxy.endpoint) as through,
    ):
        proxy.cut_after(size.size_mib * _MIB * 9 // 10)
        pushed = await through.push(source, f"{_NAMESPACE}/cut@1.0.0", via=client.Via.SERVER)
    if not proxy.cuts:
        raise RuntimeError("the line was never cut, so nothing was measured")
    return report.Figure(
        name="loaded_cut",
        title=f"sent again, {size.size_mib} MiB cut at 90 %",
        unit="MiB",
        ours=(pushed.sent_bytes - size.size_mib * _MIB) / _MIB,
        target=_PART_BYTES / _MIB,
        details={"cuts": proxy.cuts, "seconds": pushed.seconds, "streams": 1},
    )
