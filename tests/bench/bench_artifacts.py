"""Bytes of one large file through the server against minio-py straight to the same store."""

import argparse
import asyncio
import contextlib
import hashlib
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import minio
import report
import rig

from modelkeep import client
from modelkeep.cli import allocator

MIB = 1024 * 1024
PART_BYTES = 16 * MIB
BUCKET = "bench-direct"
_PARALLEL = 3
_BLOCK_BYTES = MIB
_UPLOAD_TARGET, _DOWNLOAD_TARGET, _RSS_TARGET_MIB = 0.7, 0.4, 300
_DIRECT_TARGET = 0.95
_TITLES = {"seaweedfs": "SeaweedFS", "minio": "MinIO"}


class Stopwatch(client.Progress):
    """Times the steps of a push or pull, in seconds."""

    def __init__(self) -> None:
        self.took_s: dict[client.Step, float] = {}
        self._began = 0.0

    def step_began(self, *_what: object) -> None:
        """Start."""
        self._began = time.perf_counter()

    def step_ended(self, step: client.Step) -> None:
        """Stop."""
        self.took_s[step] = time.perf_counter() - self._began


@dataclass(slots=True)
class Measured:
    """What one round after the other took, in seconds."""

    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)

    def figure(self, size_bytes: int, **rest: Any) -> report.Figure:
        """As rates in MB/s."""
        ours, peer = (
            [size_bytes / took_s / 1e6 for took_s in side] for side in (self.ours, self.peer)
        )
        return report.compared(ours, peer, unit="MB/s", **rest)


class Direct:
    """The peer: minio-py, in threads as its users run it."""

    def __init__(self, s3: minio.Minio, path: Path, digest: str) -> None:
        self._s3 = s3
        self._path = path
        self._digest = digest

    def upload(self) -> None:
        """Put the file."""
        self._s3.fput_object(
            BUCKET,
            "direct",
            str(self._path),
            part_size=PART_BYTES,
            num_parallel_uploads=_PARALLEL,
        )

    def download(self, target: Path) -> None:
        """Get the file in ranges, several ahead, written and hashed in order."""
        running = hashlib.sha256()
        with futures.ThreadPoolExecutor(_PARALLEL) as pool, target.open("wb", buffering=0) as out:
            for block in self._blocks(pool):
                out.write(block)
                running.update(block)
        if f"sha256:{running.hexdigest()}" != self._digest:
            raise RuntimeError("the store gave other bytes back")

    def _blocks(self, pool: futures.Executor) -> Iterator[bytes]:
        starts = iter(range(0, self._path.stat().st_size, PART_BYTES))
        ahead = deque(pool.submit(self._range, start) for start in islice(starts, _PARALLEL))
        while ahead:
            yield from ahead.popleft().result()
            ahead.extend(pool.submit(self._range, start) for start in islice(starts, 1))

    def _range(self, start: int) -> list[bytes]:
        answer = self._s3.get_object(BUCKET, "direct", offset=start, length=PART_BYTES)
        try:
            return list(answer.stream(_BLOCK_BYTES))
        finally:
            answer.close()
            answer.release_conn()


@dataclass(frozen=True, slots=True)
class Bench:
    """One store, one file, both ways."""

    running: rig.Rig
    registry: client.Registry
    direct: Direct
    path: Path
    upload: Measured = field(default_factory=Measured)
    push: Measured = field(default_factory=Measured)
    download: Measured = field(default_factory=Measured)
    repush: Measured = field(default_factory=Measured)
    send: Measured = field(default_factory=Measured)
    fetch: Measured = field(default_factory=Measured)
    sent_bytes: list[int] = field(default_factory=list)
    cpu_s: dict[str, list[float]] = field(default_factory=dict)

    async def round(self, number: int) -> None:
        """Each measure once, ours and the peer's taking turns at being first."""
        ref, straight = f"bench-{number}/weights", f"straight-{number}/weights"
        await self._each(
            number, lambda: self._push(ref), self._direct_upload, lambda: self._send(straight)
        )
        await self._each(
            number, lambda: self._pull(ref), self._direct_download, lambda: self._fetch(straight)
        )
        await self._repush(ref)

    async def _each(self, number: int, *sides: Callable[[], Awaitable[None]]) -> None:
        for side in sides if number % 2 else reversed(sides):
            await side()

    async def _send(self, ref: str) -> None:
        """Push by URLs of the store; the server reads all back before this ends."""
        watch = Stopwatch()
        with self._cpu("direct_upload"):
            pushed = await self.registry.push(
                self.path, f"{ref}@1.0.0", via=client.Via.STORE, listener=watch
            )
        if pushed.direct_bytes != pushed.total_bytes:
            raise RuntimeError(f"{pushed.direct_bytes} bytes of the push went to the store")
        self.send.ours.append(watch.took_s[client.Step.SEND])

    async def _fetch(self, ref: str) -> None:
        """Pull by URLs of the store."""
        with _directory(self.path.parent / "fetched") as target, self._cpu("direct_download"):
            pulled = await self.registry.pull(f"{ref}@1.0.0", target, via=client.Via.STORE)
        if pulled.direct_bytes != pulled.total_bytes:
            raise RuntimeError("the pull did not come straight from the store")
        self.fetch.ours.append(pulled.seconds)

    async def _push(self, ref: str) -> None:
        watch = Stopwatch()
        with self._cpu("upload"):
            pushed = await self.registry.push(
                self.path, f"{ref}@1.0.0", via=client.Via.SERVER, listener=watch
            )
        if pushed.sent_bytes != pushed.total_bytes:
            raise RuntimeError("the push did not send the whole file")
        self.upload.ours.append(watch.took_s[client.Step.SEND])
        self.push.ours.append(pushed.seconds)

    async def _direct_upload(self) -> None:
        took_s = await _timed(self.direct.upload)
        self.upload.peer.append(took_s)
        self.push.peer.append(took_s)
        self.send.peer.append(took_s)

    async def _pull(self, ref: str) -> None:
        with _directory(self.path.parent / "pulled") as target, self._cpu("download"):
            pulled = await self.registry.pull(f"{ref}@1.0.0", target, via=client.Via.SERVER)
        self.download.ours.append(pulled.seconds)

    async def _direct_download(self) -> None:
        with _directory(self.path.parent / "got") as target:
            took_s = await _timed(lambda: self.direct.download(target / "file"))
        self.download.peer.append(took_s)
        self.fetch.peer.append(took_s)

    async def _repush(self, ref: str) -> None:
        self.repush.peer.append(await _timed(lambda: digest_of(self.path)))
        pushed = await self.registry.push(self.path, f"{ref}@1.0.1")
        self.repush.ours.append(pushed.seconds)
        self.sent_bytes.append(pushed.sent_bytes)

    @contextlib.contextmanager
    def _cpu(self, what: str) -> Iterator[None]:
        before_s = rig.cpu_s(self.running.server_pid)
        yield
        self.cpu_s.setdefault(what, []).append(rig.cpu_s(self.running.server_pid) - before_s)

    def figures(self, store: str) -> list[report.Figure]:
        """What was measured."""
        size, title = self.path.stat().st_size, _TITLES[store]
        common = {"size_bytes": size}
        return [
            self.upload.figure(
                size,
                name=f"upload_{store}",
                title=f"Upload of one file, {title}",
                target=_UPLOAD_TARGET,
                details=common | {"server_cpu_s": self.cpu_s["upload"]},
            ),
            self.push.figure(
                size,
                name=f"push_{store}",
                title=f"Whole push (hash, upload, seal), {title}",
                details=common,
            ),
            self.download.figure(
                size,
                name=f"download_{store}",
                title=f"Download of one file, verified, {title}",
                target=_DOWNLOAD_TARGET,
                details=common | {"server_cpu_s": self.cpu_s["download"]},
            ),
            self.send.figure(
                size,
                name=f"direct_upload_{store}",
                title=f"Upload straight to the store, verified, {title}",
                target=_DIRECT_TARGET,
                details=common | {"server_cpu_s": self.cpu_s["direct_upload"]},
            ),
            self.fetch.figure(
                size,
                name=f"direct_download_{store}",
                title=f"Download straight from the store, verified, {title}",
                target=_DIRECT_TARGET,
                details=common | {"server_cpu_s": self.cpu_s["direct_download"]},
            ),
            self.repush.figure(
                size,
                name=f"repush_{store}",
                title=f"Push of the unchanged file / hashing it, {title}",
                details=common | {"sent_bytes": self.sent_bytes},
            ),
            report.Figure(
                name=f"server_rss_{store}",
                title=f"Server's peak RSS under transfers, {title}",
                unit="MiB",
                ours=self.running.peak_rss_mib(),
                target=_RSS_TARGET_MIB,
            ),
        ]


async def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(work)
    return time.perf_counter() - began


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[Path]:
    path.mkdir()
    try:
        yield path
    finally:
        for made in path.iterdir():
            made.unlink()
        path.rmdir()


def digest_of(path: Path) -> str:
    """`sha256:` and the digits of a file's bytes."""
    with path.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def make_file(path: Path, size_mib: int) -> None:
    """A file that does not compress."""
    with path.open("wb") as out:
        for _ in range(size_mib):
            out.write(os.urandom(MIB))


def stores() -> list[str]:
    """The stores there are on this machine."""
    return ["seaweedfs", "minio"] if rig.minio_binary() else ["seaweedfs"]


async def measure(size_mib: int, rounds: int) -> list[report.Figure]:
    """All figures of this bench, on each store."""
    allocator.tune()
    figures: list[report.Figure] = []
    with rig.scratch_directory() as scratch:
        path = scratch / "weights.bin"
        await asyncio.to_thread(make_file, path, size_mib)
        for store in stores():
            figures += await _measure_on(store, path, rounds)
    return figures


async def _measure_on(store: str, path: Path, rounds: int) -> list[report.Figure]:
    async with rig.running(store) as running, client.connect(running.endpoint) as registry:
        with running.s3() as s3:
            s3.make_bucket(BUCKET)
            bench = Bench(running, registry, Direct(s3, path, digest_of(path)), path)
            for number in range(rounds):
                await bench.round(number)
            return bench.figures(store)


async def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--rounds", type=int, default=3, help="rounds on each store")
    chosen = parser.parse_args()
    figures = await measure(chosen.size_mib, chosen.rounds)
    report.keep(figures)
    print(report.table(figures))


if __name__ == "__main__":
    rig.main(main)
