"""The same calls on ten thousand versions and on a million, in one run: what size costs.

Two servers over two databases of one Postgres take turns within each round, so that other work on
the machine meets both alike.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import bench_unary
import mlflow_side
import report
import rig
import scale_calls
import scale_data
from google.protobuf import message

from modelkeep.storage import migrations

SMALL, LARGE = 10_000, 1_000_000
GROWTH_TARGET = 1.5
PAGE_TARGET_MS = 50.0
TAIL_TARGET = 10.0
RESOLVE_TARGET = 0.6
MLFLOW_TARGET = 15.0
_CONNECTIONS = 16
"""So many that the kernel spreads them over the workers; MLflow's callers have one each."""
AT_ONCE = 64
_SERVICE = "/modelkeep.v1.RegistryService/"
_BYTES_A_VERSION = 22_000
_BYTES_AT_LEAST = 3_000_000_000
# A registry of this size is given some memory; the checkpoints of the load would last into the
# measuring otherwise.
_POSTGRES = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "wal_level": "minimal",  # indexes that are made are not written twice
    "max_wal_senders": "0",
    "autovacuum": "off",  # the load vacuums at its end
}


@dataclass(frozen=True, slots=True)
class Side:
    """A filled database with the server over it."""

    versions: int
    running: rig.Rig
    registry: scale_calls.Registry
    kinds: Sequence[scale_calls.Kind]
    seconds: float


@dataclass(frozen=True, slots=True)
class Length:
    """How many rounds, and how long a load is, in seconds."""

    rounds: int
    seconds: float


FULL = Length(rounds=3, seconds=1.5)
QUICK = Length(rounds=1, seconds=0.3)


def require_disk(versions: int) -> None:
    """RuntimeError if there is not the space that so many versions take."""
    needed = max(versions * _BYTES_A_VERSION, _BYTES_AT_LEAST)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    print(f"needs {needed / 1e9:.0f} GB in {tempfile.gettempdir()}, which has {free / 1e9:.0f} GB")
    if free < needed:
        raise RuntimeError("too little disk: set TMPDIR, or ask for fewer with --versions")


@contextlib.asynccontextmanager
async def filled(ground: rig.Grounds, name: str, versions: int) -> AsyncIterator[Side]:
    """A database with so many versions, and a server over it."""
    url = await database(ground, name)
    await migrations.migrate(url)
    print(f"loading {versions:,} versions ...", flush=True)
    loaded = await scale_data.load(url, versions)
    print(f"loaded {versions:,} versions in {loaded.seconds:.0f} s", flush=True)
    async with rig.serving(ground, name, url) as running:
        registry = await scale_calls.registry(running.endpoint, url, loaded)
        kinds = await scale_calls.kinds(registry)
        yield Side(versions, running, registry, kinds, loaded.seconds)


async def database(ground: rig.Grounds, name: str) -> str:
    """URL of a new, empty database of that name."""
    connection = await asyncpg.connect(ground.database.url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return f"{ground.database.url.rpartition('/')[0]}/{name}"


@dataclass(frozen=True, slots=True)
class Loading:
    """The process that sends the load."""

    process: asyncio.subprocess.Process

    async def run(
        self, side: Side, method: str, requests: Sequence[message.Message], **how: Any
    ) -> dict[str, Any]:
        """What a load took as its client sees it, and in the server (`server_*`)."""
        log = side.running.directory / "logs" / "server.log"
        before = log.stat().st_size
        used_s = rig.cpu_s(side.running.server_pid)
        asked = {
            "endpoint": side.running.endpoint,
            "method": _SERVICE + method,
            "requests": [request.SerializeToString().hex() for request in requests],
            **how,
        }
        if self.process.stdin is None:
            raise RuntimeError("the load has no pipe")
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        await self.process.stdin.drain()
        answered: dict[str, Any] = json.loads(await rig.line_of(self.process))
        used_s = rig.cpu_s(side.running.server_pid) - used_s
        took_ms = _in_server_ms(log, before, method)
        return answered | {
            "server_cpu_us": used_s * 1e6 / answered["calls"],
            "server_p50_ms": statistics.median(took_ms),
            "server_p99_ms": statistics.quantiles(took_ms, n=100)[98],
        }


def _in_server_ms(log: Path, offset: int, method: str) -> list[float]:
    """What the server's own log says that each call of a method took."""
    with log.open("rb") as lines:
        lines.seek(offset)
        read = [json.loads(line) for line in lines if line.startswith(b"{")]
    return [line["duration_ms"] for line in read if line.get("method") == method]


async def read(loading: Loading, small: Side, large: Side, length: Length) -> list[report.Figure]:
    """What each kind of read takes at both sizes, one caller at a time."""
    measured: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for number in range(length.rounds + 1):
        how = {"at_once": 1, "rotate": True, "seconds": length.seconds}
        for one, other in zip(small.kinds, large.kinds, strict=True):
            at_small = await loading.run(small, one.method, one.requests, **how)
            at_large = await loading.run(large, other.method, other.requests, **how)
            if number:  # the first round warms up
                measured.setdefault(other.name, []).append((at_small, at_large))
    return [_growth(small, large, n, rounds) for n, rounds in enumerate(measured.values())]


def _growth(
    small: Side, large: Side, number: int, rounds: list[tuple[dict[str, Any], dict[str, Any]]]
) -> report.Figure:
    kind = large.kinds[number]
    ratios = [at_large["p50_ms"] / at_small["p50_ms"] for at_small, at_large in rounds]
    return report.Figure(
        name=f"scale_{kind.name}",
        title=f"{kind.title}: p50 at {large.versions:,} / at {small.versions:,}",
        unit="times",
        ours=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        rounds=len(rounds),
        target=GROWTH_TARGET,
        details={
            "title": kind.title,
            "small": _middle([at_small for at_small, _ in rounds]),
            "large": _middle([at_large for _, at_large in rounds]),
            "is_page": kind.is_page,
            "note": ", ".join(filter(None, (small.kinds[number].note, kind.note))),
        },
    )


def _middle(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The median of each measure over the rounds."""
    keys = (
        "rate", "p50_ms", "p99_ms", "server_p50_ms", "server_p99_ms", "server_cpu_us", "calls",
    )  # fmt: skip
    return {key: statistics.median(run[key] for run in runs) for key in keys}


def pages_in_server(figures: Sequence[report.Figure], large: Side) -> report.Figure:
    """The slowest kind of page by its p99 within the server."""
    pages = {
        figure.name: figure.details["large"]["server_p99_ms"]
        for figure in figures
        if figure.details["is_page"]
    }
    return report.Figure(
        name="scale_page_p99",
        title=f"Slowest kind of page at {large.versions:,}, p99 in the server",
        unit="ms",
        ours=max(pages.values()),
        target=PAGE_TARGET_MS,
        details=pages,
    )


async def create(loading: Loading, small: Side, large: Side, length: Length) -> list[report.Figure]:
    """CreateVersion by 64 callers: how much longer the last wait; the load ends by any failure."""
    figures = []
    for side, name in ((small, "small"), (large, "large")):
        how = {"at_once": AT_ONCE, "seconds": 4 * length.seconds}
        runs = [
            await loading.run(side, "CreateVersion", scale_calls.creates(side.registry), **how)
            for _ in range(length.rounds)
        ]
        tails = [run["p99_ms"] / run["p50_ms"] for run in runs]
        figures.append(
            report.Figure(
                name=f"scale_create_{name}",
                title=f"CreateVersion at {side.versions:,}, {AT_ONCE} at once: p99 / p50",
                unit="times",
                ours=statistics.median(tails),
                low=min(tails),
                high=max(tails),
                rounds=len(runs),
                target=TAIL_TARGET,
                details={"large": _middle(runs), "title": f"CreateVersion, {AT_ONCE} at once"},
            )
        )
    return figures


async def resolve(
    stack: AsyncExitStack, loading: Loading, large: Side, length: Length
) -> report.Figure:
    """Resolve by 64 callers at the large size, against an RPC that does nothing."""
    running = large.running
    peer = await stack.enter_async_context(rig.program("empty_server.py", running.database_url))
    ours, empty = (running.endpoint, running.server_pid), (await rig.line_of(peer), peer.pid)
    call = bench_unary.Call(
        "scale_resolve", "", "ResolveVersion", scale_calls.production(large.registry)
    )
    sides = bench_unary.Sides(loading.process, ours, empty, length.seconds)
    await sides.round(call, AT_ONCE)
    rounds = [await sides.round(call, AT_ONCE) for _ in range(2 * length.rounds)]
    rates = {side: [one[side]["rate"] for one in rounds] for side in ("ours", "empty", "fetch")}
    return report.compared(
        rates["ours"],
        rates["empty"],
        name="scale_resolve_64",
        title=f"Resolve at {large.versions:,}, {AT_ONCE} at once / empty RPC",
        unit="calls/s",
        target=RESOLVE_TARGET,
        details={
            side: {
                key: statistics.median(one[side][key] for one in rounds)
                for key in ("rate", "p50_ms", "p99_ms", "server_cpu_us")
            }
            for side in rates
        },
    )


async def beside_mlflow(
    stack: AsyncExitStack, ground: rig.Grounds, loading: Loading, large: Side, length: Length
) -> list[report.Figure]:
    """Resolve by alias against MLflow's get-model-version-by-alias, 64 callers each.

    With as many workers as MLflow has, and with one, which is the usual.
    """
    installed = await asyncio.to_thread(mlflow_side.install)
    url = await database(ground, "mlflow")
    endpoint = await stack.enter_async_context(mlflow_side.running(url, ground.directory))
    paths = await asyncio.to_thread(mlflow_side.seed, endpoint, 16, 4)
    http = await stack.enter_async_context(rig.program("load_http.py"))
    requests = next(kind.requests for kind in large.kinds if kind.name == "resolve_alias")[:16]
    serving = rig.serving(
        ground, "workers", large.running.database_url, MODELKEEP_WORKERS=str(mlflow_side.WORKERS)
    )
    many = dataclasses.replace(large, running=await stack.enter_async_context(serving))
    how = {"at_once": AT_ONCE, "seconds": 2 * length.seconds}
    rounds = []
    for _ in range(length.rounds + 1):
        theirs = await mlflow_side.measure(http, endpoint, paths, 2 * length.seconds)
        one = await loading.run(large, "ResolveVersion", requests, **how)
        several = await loading.run(
            many, "ResolveVersion", requests, **how, connections=_CONNECTIONS
        )
        rounds.append((theirs, one, several))
    theirs, one, several = zip(*rounds[1:], strict=True)  # the first warms up
    title = f"Resolve by alias / MLflow {installed}, {AT_ONCE} at once"
    details = {"mlflow_p50_ms": statistics.median(run["p50_ms"] for run in theirs)}
    return [
        report.compared(
            [run["rate"] for run in ours],
            [run["rate"] for run in theirs],
            name=name,
            title=f"{title}, {workers} for {mlflow_side.WORKERS} of MLflow",
            unit="calls/s",
            target=target,
            details=details,
        )
        for name, workers, ours, target in (
            ("scale_mlflow", f"{mlflow_side.WORKERS} workers", several, MLFLOW_TARGET),
            ("scale_mlflow_one", "one process", one, None),
        )
    ]


async def measure(versions: int, length: Length, *, mlflow: bool) -> list[report.Figure]:
    """All figures of this bench."""
    require_disk(versions)
    began = time.perf_counter()
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(rig.grounds(settings=_POSTGRES))
        small = await stack.enter_async_context(filled(ground, "small", min(SMALL, versions)))
        large = await stack.enter_async_context(filled(ground, "large", versions))
        loading = Loading(await stack.enter_async_context(rig.program("load.py")))
        figures = await read(loading, small, large, length)
        figures.append(pages_in_server(figures, large))
        figures.append(await resolve(stack, loading, large, length))
        if mlflow:
            figures += await beside_mlflow(stack, ground, loading, large, length)
        figures += await create(loading, small, large, length)
    print(f"took {time.perf_counter() - began:.0f} s")
    return figures


def details(figures: Sequence[report.Figure]) -> str:
    """Both sizes side by side as a Markdown table."""
    lines = [
        "| what | p50 small | p50 large | ratio | p99 large | in the server p50 | p99 | |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    lines += [_both(figure) for figure in figures if "small" in figure.details]
    return "\n".join(lines)


def _both(figure: report.Figure) -> str:
    told = figure.details
    at_small, at_large = told["small"], told["large"]
    numbers = (
        at_small["p50_ms"], at_large["p50_ms"], figure.ours, at_large["p99_ms"],
        at_large["server_p50_ms"], at_large["server_p99_ms"],
    )  # fmt: skip
    cells = " | ".join(f"{number:.2f}" for number in numbers)
    return f"| {told['title']} | {cells} | {told['note']} |"


async def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=LARGE, help="of the large registry")
    parser.add_argument("--quick", action="store_true", help="a smoke run of 20,000 versions")
    parser.add_argument("--mlflow", action="store_true", help="also measure a real MLflow")
    chosen = parser.parse_args()
    versions = 2 * SMALL if chosen.quick else chosen.versions
    length = QUICK if chosen.quick else FULL
    figures = await measure(versions, length, mlflow=chosen.mlflow)
    report.keep(figures)
    print(f"\n{report.table(figures)}\n\n{details(figures)}")
    print(f"\nEach figure is in {report.OUTPUT.relative_to(report.ROOT)}/NAME.json.")


if __name__ == "__main__":
    rig.main(main)
