"""What the benches measure on: a scratch Postgres, a store, and the server as its own process."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import minio
import urllib3

from modelkeep import allocator
from modelkeep.local import child, files, ports, postgres, seaweed, server

HERE = Path(__file__).resolve().parent
_START_TIMEOUT_S = 30.0


class Store(Protocol):
    """An S3 store that the rig runs."""

    @property
    def endpoint(self) -> str:
        """HOST:PORT, plain HTTP."""

    @property
    def access_key(self) -> str:
        """Access key."""

    @property
    def secret_key(self) -> str:
        """Secret key."""

    @property
    def child(self) -> child.Child | None:
        """Its process, while it runs."""

    async def start(self) -> None:
        """Start and return once it answers."""

    async def stop(self) -> None:
        """End it."""


class Minio:
    """MinIO over a scratch directory, for comparison; its binary comes from the user."""

    def __init__(self, data: Path, binary: Path) -> None:
        self._data = data
        self._binary = binary
        self.endpoint = ""
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)
        self.child: child.Child | None = None

    async def start(self) -> None:
        """Start and return once it answers."""
        self.endpoint = f"{ports.LOOPBACK}:{ports.free_ports(1)[0]}"
        objects = self._data / "minio"
        files.private_directory(objects)
        argv = [str(self._binary), "server", "--quiet", "--address", self.endpoint, str(objects)]
        self.child = child.start(self._program(argv), child.Places(self._data))
        async with asyncio.timeout(_START_TIMEOUT_S):
            while not ports.answers(int(self.endpoint.rpartition(":")[2])):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def _program(self, argv: Sequence[str]) -> child.Program:
        return child.Program(
            name="minio",
            argv=argv,
            environ={
                "PATH": os.defpath,
                "HOME": str(self._data),
                "MINIO_ROOT_USER": self.access_key,
                "MINIO_ROOT_PASSWORD": self.secret_key,
                "MINIO_BROWSER": "off",
            },
            directory=self._data,
            death_signal=signal.SIGTERM,
            stop_signals=(signal.SIGTERM,),
            stop_timeout_s=5,
        )

    async def stop(self) -> None:
        """End it."""
        if self.child is not None:
            await self.child.stop()
            self.child = None


def minio_binary() -> Path | None:
    """MinIO's program: MODELKEEP_BENCH_MINIO, else `minio` on the PATH or in GOBIN."""
    named = os.environ.get("MODELKEEP_BENCH_MINIO")
    found = named or shutil.which("minio") or shutil.which("minio", path=os.environ.get("GOBIN"))
    return Path(found) if found else None


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything that runs: where the server answers and who it is, and what is behind it."""

    endpoint: str
    server_pid: int
    database_url: str
    store: Store
    directory: Path

    @contextlib.contextmanager
    def s3(self) -> Iterator[minio.Minio]:
        """A client of the store; its connections are closed at the end, or the store waits."""
        store = self.store
        with urllib3.PoolManager(retries=False, timeout=60, maxsize=16) as pool:
            yield minio.Minio(
                store.endpoint, store.access_key, store.secret_key, secure=False, http_client=pool
            )

    def peak_rss_mib(self) -> float:
        """The most memory the server has had resident, in MiB; 0 where the kernel does not tell."""
        return _status_kib(self.server_pid, "VmHWM") / 1024

    def rss_mib(self) -> float:
        """The memory the server has resident now, in MiB; 0 where the kernel does not tell."""
        return _status_kib(self.server_pid, "VmRSS") / 1024


def cpu_s(pid: int) -> float:
    """Processor time a process has used, in seconds; 0 where the kernel does not tell."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    user, system = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def giving_way(pid: int) -> Iterator[None]:
    """Inside the block a process, and what it starts, runs only while nobody else wants the core.

    For what stands for other machines: the store, clients of uploads. On Linux only.
    """
    _schedule(pid, os.SCHED_IDLE)
    try:
        yield
    finally:
        _schedule(pid, os.SCHED_OTHER)


def _schedule(pid: int, policy: int) -> None:
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(ProcessLookupError):  # a thread that ends meanwhile
            os.sched_setscheduler(int(task.name), policy, os.sched_param(0))


def _status_kib(pid: int, key: str) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """A new directory, removed at the end with all that is in it."""
    path = Path(tempfile.mkdtemp(prefix="modelkeep-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Grounds:
    """A database and a store that run, before any server does."""

    directory: Path
    database: postgres.Postgres
    store: Store


@dataclass(frozen=True, slots=True)
class _Named:
    """What a server asks a database for."""

    url: str


@contextlib.asynccontextmanager
async def grounds(
    store: str = "seaweedfs", settings: Mapping[str, str] | None = None
) -> AsyncIterator[Grounds]:
    """Database and store on a scratch directory.

    Args:
        store: `seaweedfs`, or `minio` if `minio_binary` finds one.
        settings: settings of Postgres; else it has its own, durable ones.
    """
    with scratch_directory() as data:
        database = postgres.Postgres(data, settings)
        chosen = _store(store, data)
        async with contextlib.AsyncExitStack() as stack:
            for part in (database, chosen):
                stack.push_async_callback(part.stop)
                await part.start()
            yield Grounds(data, database, chosen)


@contextlib.asynccontextmanager
async def serving(
    ground: Grounds, name: str, database_url: str, **settings: str
) -> AsyncIterator[Rig]:
    """A server over one database of the grounds, in a directory of its own, with more settings."""
    data = ground.directory / name
    files.private_directory(data)
    services = cast(  # it only asks where they are
        "tuple[postgres.Postgres, seaweed.SeaweedFS]", (_Named(database_url), ground.store)
    )
    environ = clean_environ() | OPEN | settings
    front = server.Server(data, services, f"{ports.LOOPBACK}:0", environ)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(front.stop)
        await front.start()
        if front.child is None:
            raise RuntimeError("the server has no process")
        yield Rig(front.endpoint, front.child.pid, database_url, ground.store, data)


@contextlib.asynccontextmanager
async def running(store: str = "seaweedfs") -> AsyncIterator[Rig]:
    """The whole tree on a scratch directory; see `grounds` for the store."""
    async with (
        grounds(store) as ground,
        serving(ground, "server", ground.database.url) as one,
    ):
        yield one


def _store(name: str, data: Path) -> Store:
    if name == "seaweedfs":
        return seaweed.SeaweedFS(data)
    binary = minio_binary()
    if binary is None:
        raise RuntimeError("no minio binary: set MODELKEEP_BENCH_MINIO")
    return Minio(data, binary)


OPEN = {"MODELKEEP_ANONYMOUS_ROLE": "admin"}
"""Lets in what prepares a bench; what is measured presents a token where that could matter."""


def clean_environ() -> dict[str, str]:
    """Our environment without settings that would make the server another one."""
    strip = ("MODELKEEP_", "MALLOC_")
    return {key: value for key, value in os.environ.items() if not key.startswith(strip)}


@contextlib.asynccontextmanager
async def program(
    script: str, *arguments: str, environ: Mapping[str, str] = allocator.SETTINGS
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python program of this folder with pipes, ended by its own id at the end.

    It gets the memory settings that the server gives itself, so that neither side is favoured.
    """
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**clean_environ(), **environ},
        start_new_session=True,  # Ctrl-C reaches the bench only; it ends us in order
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.wait()


async def line_of(started: asyncio.subprocess.Process) -> str:
    """The next line that a program prints; RuntimeError if it ends instead."""
    if started.stdout is None:
        raise RuntimeError("the program has no pipe")
    line = (await started.stdout.readline()).decode().strip()
    if not line:
        raise RuntimeError("a program of the bench ended by itself; its error is above")
    return line


def main(bench: Callable[[], Awaitable[None]]) -> None:
    """Run a bench; SIGTERM and Ctrl-C end it in order, leaving nothing."""

    async def guarded() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await bench()

    try:
        asyncio.run(guarded())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
