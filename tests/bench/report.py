"""Figures of the benches: what one is, how it is kept as JSON, how a table shows it."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "build" / "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One comparison, or one measure against a limit if there is no peer.

    Attributes:
        name: one word; the figure is kept as build/bench/NAME.json.
        title: what a reader of the table sees.
        ours: median over the rounds, in `unit`.
        peer: the same for the direct path; None if there is none.
        ratio: median over the rounds of the ratio within a round, above 1 if ours is better.
        low, high: least and greatest ratio (without a peer: of `ours`) of a round.
        target: what the ratio (without a peer: `ours`) is hoped to reach; None for no target.
        details: further measures of the same runs.
    """

    name: str
    title: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 1
    target: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`ok` or `miss` against the target; `-` without one."""
        if self.target is None:
            return "-"
        if self.ratio is None:
            return "ok" if self.ours <= self.target else "miss"
        return "ok" if self.ratio >= self.target else "miss"


def compared(ours: Sequence[float], peer: Sequence[float], **rest: Any) -> Figure:
    """The figure of several rounds, each of which measured both sides one after the other."""
    ratios = [a / b for a, b in zip(ours, peer, strict=True)]
    return Figure(
        ours=statistics.median(ours),
        peer=statistics.median(peer),
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        rounds=len(ratios),
        **rest,
    )


def keep(figures: Iterable[Figure]) -> None:
    """Write each figure to build/bench/NAME.json, with what it was measured by and on."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        kept = {
            **dataclasses.asdict(figure),
            "verdict": figure.verdict,
            "command": shlex.join(["python", *sys.orig_argv[1:]]),
            "machine": machine(),
        }
        text = json.dumps(kept, indent=2) + "\n"
        (OUTPUT / f"{figure.name}.json").write_text(text, encoding="utf-8")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "grpcio": importlib.metadata.version("grpcio"),
        "asyncpg": importlib.metadata.version("asyncpg"),
        "protobuf": importlib.metadata.version("protobuf"),
        "load_average_1min": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| what | unit | ours | direct | ratio | min-max | target | |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    lines += [f"| {' | '.join(_cells(figure))} |" for figure in figures]
    return "\n".join(lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    spread = "-" if figure.low is None else f"{_number(figure.low)}-{_number(figure.high)}"
    target = "-"
    if figure.target is not None:
        target = f"{'≤' if figure.ratio is None else '≥'} {_number(figure.target)}"
    return (
        figure.title,
        figure.unit,
        _number(figure.ours),
        _number(figure.peer),
        _number(figure.ratio),
        spread,
        target,
        figure.verdict,
    )


def _number(value: float | None) -> str:
    """Three digits or so: nobody should read more out of a bench."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
