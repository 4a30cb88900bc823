"""`make bench`: every bench, one table, the figures in build/bench/NAME.json.

It measures and does not judge: the exit code is 0 whatever the figures are.
"""

import argparse
from collections.abc import Awaitable, Callable

import bench_artifacts
import bench_loaded
import bench_small_files
import bench_unary
import bench_watch
import report
import rig

_Bench = Callable[[bool], Awaitable[list[report.Figure]]]


async def _unary(quick: bool) -> list[report.Figure]:
    return await (bench_unary.measure("", 1, 0.3) if quick else bench_unary.measure("", 5, 2))


async def _artifacts(quick: bool) -> list[report.Figure]:
    return await (bench_artifacts.measure(32, 1) if quick else bench_artifacts.measure(1024, 3))


async def _small(quick: bool) -> list[report.Figure]:
    chosen = (100, 64, 1) if quick else (1000, 64, 3)
    return await bench_small_files.measure(*chosen)


async def _watch(quick: bool) -> list[report.Figure]:
    return await (bench_watch.measure(200, 5, 20) if quick else bench_watch.measure(5000, 60, 200))


async def _loaded(quick: bool) -> list[report.Figure]:
    return await bench_loaded.measure(bench_loaded.QUICK if quick else bench_loaded.FULL)


BENCHES: dict[str, _Bench] = {
    "unary": _unary,
    "artifacts": _artifacts,
    "small": _small,
    "watch": _watch,
    "loaded": _loaded,
}


async def main() -> None:
    """Run the chosen benches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run; its figures mean little")
    parser.add_argument("--only", choices=sorted(BENCHES), help="one bench")
    chosen = parser.parse_args()
    figures: list[report.Figure] = []
    for name, measure in BENCHES.items():
        if chosen.only in (None, name):
            print(f"measuring {name} ...", flush=True)
            measured = await measure(chosen.quick)
            report.keep(measured)
            figures += measured
    print(f"\n{report.table(figures)}\n\n{bench_unary.latencies(figures)}")
    print(f"\nEach figure is in {report.OUTPUT.relative_to(report.ROOT)}/NAME.json.")


if __name__ == "__main__":
    rig.main(main)
