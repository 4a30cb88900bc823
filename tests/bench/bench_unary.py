"""Small calls against an RPC that does nothing, and against one that does one look-up."""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import load
import report
import rig
from google.protobuf import message

from modelkeep import client, own_files
from modelkeep.client import convert
from modelkeep.v1 import registry_service_pb2 as pb

AT_ONCE = (1, 16, 64)
TARGET = 0.4
_SERVICE = "/modelkeep.v1.RegistryService/"
_MODELS = tuple(f"bench-{n:02}/voice" for n in range(16))
_VERSIONS = tuple(f"1.{n}.0" for n in range(4))
_COUNTER = load.COUNTER.decode()
_DRAFT = client.Draft(
    spec=client.ModelSpec(
        framework="pytorch",
        framework_version="2.9.1",
        task="voice-activity-detection",
        parameters={"sample_rate": 16000, "window": 0.032, "layers": 4, "causal": True},
        inputs=(client.TensorSpec("audio", "float32", (-1, 512)),),
        outputs=(client.TensorSpec("speech", "float32", (-1, 1)),),
    ),
    datasets=(client.Dataset(name="voices", revision="2026-10"),),
    metrics={"roc_auc": 0.973, "f1": 0.912, "latency_ms": 0.41},
    source=client.Source(commit="0f3c9d7a5b1e4f6a8c2d0e9b7a6f5c4d3e2b1a09"),
    labels={"team": "speech", "tier": "gold"},
    description="What a careful release says about itself.",
)


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of call; the callers take its requests in turn."""

    name: str
    title: str
    method: str
    requests: Sequence[message.Message]
    at_once: tuple[int, ...] = AT_ONCE
    target: float | None = TARGET


@dataclass(frozen=True, slots=True)
class Sides:
    """The load's process, ours and the peer as endpoint and pid, and how long each is asked."""

    load: asyncio.subprocess.Process
    ours: tuple[str, int]
    peer: tuple[str, int]
    seconds: float
    token: str = ""

    async def round(self, call: Call, at_once: int) -> dict[str, dict[str, Any]]:
        """Ours, then both peers with messages of the same size."""
        ours = await self._run(self.ours, _SERVICE + call.method, call, at_once)
        size = ours["response_bytes"]
        empty = await self._run(self.peer, f"/bench/Empty.{size}", call, at_once)
        fetch = await self._run(self.peer, f"/bench/Fetch.{size}", call, at_once)
        return {"ours": ours, "empty": empty, "fetch": fetch}

    async def _run(
        self, server: tuple[str, int], method: str, call: Call, at_once: int
    ) -> dict[str, Any]:
        endpoint, pid = server
        asked = {
            "endpoint": endpoint,
            "method": method,
            "requests": [request.SerializeToString().hex() for request in call.requests],
            "at_once": at_once,
            "seconds": self.seconds,
            "token": self.token if server == self.ours else "",
        }
        if self.load.stdin is None:
            raise RuntimeError("the load has no pipe")
        self.load.stdin.write(json.dumps(asked).encode() + b"\n")
        await self.load.stdin.drain()
        before_s = rig.cpu_s(pid)
        answered: dict[str, Any] = json.loads(await rig.line_of(self.load))
        answered["server_cpu_us"] = (rig.cpu_s(pid) - before_s) * 1e6 / answered["calls"]
        return answered


async def seed(running: rig.Rig) -> None:
    """Released versions to read, the last of each model in production."""
    weights = running.directory / "weights.bin"
    weights.write_bytes(bytes(range(256)) * 256)
    async with client.connect(running.endpoint) as registry:
        for model in _MODELS:
            for version in _VERSIONS:
                await registry.push(weights, f"{model}@{version}", _DRAFT)
            for stage in ("staging", "production"):
                await registry.set_stage(f"{model}@{_VERSIONS[-1]}", stage, reason="measured")


def calls() -> list[Call]:
    """The calls, with requests as the SDK sends them."""
    names = [client.parse_ref(f"{model}@{version}") for model in _MODELS for version in _VERSIONS]
    gets = [pb.GetVersionRequest(name=name.version_name) for name in names]
    resolves = [pb.ResolveVersionRequest(ref=f"{model}@production") for model in _MODELS]
    creates = [_create(client.parse_ref(model).model_name) for model in _MODELS]
    return [
        Call("get_version", "GetVersion", "GetVersion", gets),
        Call("resolve_version", "ResolveVersion", "ResolveVersion", resolves),
        Call("create_version", f"CreateVersion, {len(_MODELS)} models", "CreateVersion", creates),
        Call(
            "create_version_one_model",
            "CreateVersion, 1 model",
            "CreateVersion",
            creates[:1],
            at_once=(AT_ONCE[-1],),
            target=None,
        ),
    ]


def _create(model: str) -> pb.CreateVersionRequest:
    return pb.CreateVersionRequest(
        parent=model,
        version_id=f"2.0.{_COUNTER}",
        version=convert.version_to_wire(_DRAFT),
        request_id=f"bench-{_COUNTER}",
    )


def _figures(call: Call, at_once: int, rounds: list[dict[str, Any]]) -> Iterator[report.Figure]:
    rates = {side: [one[side]["rate"] for one in rounds] for side in ("ours", "empty", "fetch")}
    details = {side: _middle([one[side] for one in rounds]) for side in rates}
    yield report.compared(
        rates["ours"],
        rates["empty"],
        name=f"{call.name}_{at_once}",
        title=f"{call.title}, {at_once} at once / empty RPC",
        unit="calls/s",
        target=call.target,
        details=details,
    )
    yield report.compared(
        rates["ours"],
        rates["fetch"],
        name=f"{call.name}_{at_once}_fetchrow",
        title=f"{call.title}, {at_once} at once / RPC with one fetchrow",
        unit="calls/s",
        details=details,
    )


def _middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run whose rate is the median."""
    return sorted(runs, key=lambda run: run["rate"])[len(runs) // 2]


async def measure(only: str, rounds: int, seconds: float) -> list[report.Figure]:
    """All figures of this bench whose call's name begins with `only`."""
    figures: list[report.Figure] = []
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(rig.running())
        await seed(running)
        peer = await stack.enter_async_context(rig.program("empty_server.py", running.database_url))
        loading = await stack.enter_async_context(rig.program("load.py"))
        ours, empty = (running.endpoint, running.server_pid), (await rig.line_of(peer), peer.pid)
        token = (running.directory / own_files.TOKEN_FILE).read_text().strip()
        warm = Sides(loading, ours, empty, seconds / 4, token)
        sides = Sides(loading, ours, empty, seconds, token)
        measured = defaultdict(list)
        cells = [
            (call, at_once)
            for call in calls()
            for at_once in call.at_once
            if call.name.startswith(only)
        ]
        for call, at_once in cells:
            await warm.round(call, at_once)
        for _ in range(rounds):
            for call, at_once in cells:
                measured[call.name, at_once].append(await sides.round(call, at_once))
        for call, at_once in cells:
            figures += _figures(call, at_once, measured[call.name, at_once])
        figures.append(_memory(running))
    return figures


def _memory(running: rig.Rig) -> report.Figure:
    return report.Figure(
        name="unary_server_rss",
        title="Server's peak RSS under small calls",
        unit="MiB",
        ours=running.peak_rss_mib(),
        target=300,
    )


def latencies(figures: Sequence[report.Figure]) -> str:
    """p50 and p99 of each load as a Markdown table."""
    lines = [
        "| what | side | calls/s | p50 ms | p99 ms | server CPU us/call |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for figure in figures:
        if figure.name.endswith("_fetchrow") or "empty" not in figure.details:
            continue
        for side, run in figure.details.items():
            cells = (f"{run[key]:.{digits}f}" for key, digits in _COLUMNS)
            lines.append(f"| {figure.name} | {side} | {' | '.join(cells)} |")
    return "\n".join(lines)


_COLUMNS = (("rate", 0), ("p50_ms", 2), ("p99_ms", 2), ("server_cpu_us", 0))


async def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each load")
    parser.add_argument("--seconds", type=float, default=2, help="length of each load")
    parser.add_argument("--only", default="", help="calls whose name begins so")
    chosen = parser.parse_args()
    figures = await measure(chosen.only, chosen.rounds, chosen.seconds)
    report.keep(figures)
    print(f"{report.table(figures)}\n\n{latencies(figures)}")


if __name__ == "__main__":
    rig.main(main)
