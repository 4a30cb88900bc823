"""Many small files through the server against minio-py, one by one, straight to the same store."""

import argparse
import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import bench_artifacts
import minio
import report
import rig

from modelkeep import client
from modelkeep.cli import allocator

KIB = 1024
BUCKET = "bench-direct"
_UPLOAD_TARGET = 3.0
_TITLES = {"seaweedfs": "SeaweedFS", "minio": "MinIO"}


@dataclass(slots=True)
class Measured:
    """What one round after the other took, in seconds, for so many files."""

    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def figure(
        self, files: int, *, name: str, title: str, target: float | None = None
    ) -> report.Figure:
        """As files per second."""
        ours, peer = ([files / took_s for took_s in side] for side in (self.ours, self.peer))
        details = {"files": files, "server_cpu_s": self.cpu_s}
        return report.compared(
            ours, peer, unit="files/s", name=name, title=title, target=target, details=details
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """One store, one folder, both ways."""

    running: rig.Rig
    registry: client.Registry
    s3: minio.Minio
    folder: Path
    push: Measured = field(default_factory=Measured)
    pull: Measured = field(default_factory=Measured)
    steps_s: list[dict[str, float]] = field(default_factory=list)

    async def round(self, number: int) -> None:
        """Each measure once, ours and the peer's taking turns at being first."""
        ref = f"bench-{number}/weights@1.0.0"
        pushes = [self._push(ref), self._direct_put(f"round-{number}")]
        for side in pushes if number % 2 else reversed(pushes):
            await side
        pulls = [self._pull(ref), self._direct_get(f"round-{number}")]
        for side in pulls if number % 2 else reversed(pulls):
            await side

    async def _push(self, ref: str) -> None:
        """The whole of it: hashing, asking, sending, sealing."""
        watch = bench_artifacts.Stopwatch()
        before_s = rig.cpu_s(self.running.server_pid)
        pushed = await self.registry.push(self.folder, ref, listener=watch)
        self.push.cpu_s.append(rig.cpu_s(self.running.server_pid) - before_s)
        if pushed.sent_bytes != pushed.total_bytes:
            raise RuntimeError("the push did not send every file once")
        self.push.ours.append(pushed.seconds)
        self.steps_s.append({step.value: took_s for step, took_s in watch.took_s.items()})

    async def _direct_put(self, prefix: str) -> None:
        def put() -> None:
            for path in sorted(self.folder.iterdir()):
                self.s3.fput_object(BUCKET, f"{prefix}/{path.name}", str(path))

        self.push.peer.append(await _timed(put))

    async def _pull(self, ref: str) -> None:
        before_s = rig.cpu_s(self.running.server_pid)
        with rig.scratch_directory() as target:
            pulled = await self.registry.pull(ref, target)
        self.pull.cpu_s.append(rig.cpu_s(self.running.server_pid) - before_s)
        self.pull.ours.append(pulled.seconds)

    async def _direct_get(self, prefix: str) -> None:
        def get(target: Path) -> None:
            for path in sorted(self.folder.iterdir()):
                self.s3.fget_object(BUCKET, f"{prefix}/{path.name}", str(target / path.name))
                # Our client checks this too.
                hashlib.sha256((target / path.name).read_bytes()).hexdigest()

        with rig.scratch_directory() as target:
            self.pull.peer.append(await _timed(lambda: get(target)))

    def figures(self, store: str, files: int) -> list[report.Figure]:
        """What was measured."""
        title = _TITLES[store]
        pushed = self.push.figure(
            files,
            name=f"small_push_{store}",
            title=f"Push of small files / one by one, {title}",
            target=_UPLOAD_TARGET,
        )
        pushed.details["steps_s"] = self.steps_s
        pulled = self.pull.figure(
            files,
            name=f"small_pull_{store}",
            title=f"Pull of small files / one by one, {title}",
        )
        return [pushed, pulled]


async def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(work)
    return time.perf_counter() - began


def make_folder(folder: Path, files: int, size_kib: int) -> None:
    """Files that do not compress and have nothing in common."""
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:05}.bin").write_bytes(os.urandom(size_kib * KIB))


async def measure(files: int, size_kib: int, rounds: int) -> list[report.Figure]:
    """All figures of this bench, on each store there is."""
    allocator.tune()
    figures: list[report.Figure] = []
    with rig.scratch_directory() as scratch:
        folder = scratch / "folder"
        await asyncio.to_thread(make_folder, folder, files, size_kib)
        for store in bench_artifacts.stores():
            figures += await _measure_on(store, folder, files, rounds)
    return figures


async def _measure_on(store: str, folder: Path, files: int, rounds: int) -> list[report.Figure]:
    async with rig.running(store) as running, client.connect(running.endpoint) as registry:
        with running.s3() as s3:
            s3.make_bucket(BUCKET)
            bench = Bench(running, registry, s3, folder)
            for number in range(rounds):
                await bench.round(number)
            return bench.figures(store, files)


async def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="how many files")
    parser.add_argument("--size-kib", type=int, default=64, help="size of each")
    parser.add_argument("--rounds", type=int, default=3, help="rounds on each store")
    chosen = parser.parse_args()
    figures = await measure(chosen.files, chosen.size_kib, chosen.rounds)
    report.keep(figures)
    print(report.table(figures))


if __name__ == "__main__":
    rig.main(main)
