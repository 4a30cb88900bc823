"""The workers of `modelkeep serve --workers N`: started, started again, and ended in order.

Each is a server process of its own, as a replica is; what they share are the addresses. They are
spawned, not forked: neither gRPC nor the pool would survive a fork.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_LIVED_S = 60.0
"""Who lived for so long ended for another reason than the one before."""
_MARGIN_S = 10.0
_log = structlog.get_logger()


class EndedEarly(Exception):
    """A worker ended before it took calls; it has said why on stderr."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"a worker ended with exit code {exit_code} before it took calls")
        self.exit_code = exit_code


@dataclass(slots=True)
class Crew:
    """Keeps so many workers running until it is stopped.

    Args:
        wanted: how many.
        environ: their environment.
        drain_timeout_s: how long they take to end, in seconds.

    Attributes:
        admins: admin ports of those that run, `host:port` by number.
        restarts: how often one was started again.
    """

    wanted: int
    environ: Mapping[str, str]
    drain_timeout_s: float
    admins: dict[int, str] = field(default_factory=dict)
    restarts: int = 0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _running: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start all, tell when they take calls, and keep them running until `stop`.

        The first starts alone: what is wrong with the configuration is said once.

        Raises `EndedEarly` if one cannot be started to begin with; the others are ended then.
        """
        try:
            first = await self._start(0)
            rest = [self._start(number) for number in range(1, self.wanted)]
            workers = [first, *await asyncio.gather(*rest)]
            if not self._stopping.is_set():
                on_ready()
            async with asyncio.TaskGroup() as group:
                for number, worker in enumerate(workers):
                    group.create_task(self._keep(number, worker))
        finally:
            await self._end_all()

    def stop(self) -> None:
        """Have them end, and start none again."""
        self._stopping.set()
        for worker in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                worker.terminate()

    async def _keep(self, number: int, worker: asyncio.subprocess.Process) -> None:
        """Start a worker again whenever it has ended, the later the more often that happens."""
        pause_s = _FIRST_PAUSE_S
        began_s = time.monotonic()
        while True:
            exit_code = await self._ended(number, worker)
            if self._stopping.is_set():
                return
            if time.monotonic() - began_s > _LIVED_S:
                pause_s = _FIRST_PAUSE_S
            _log.error("worker.ended", worker=number, exit_code=exit_code, again_in_s=pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
                return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            self.restarts += 1
            began_s = time.monotonic()
            try:
                worker = await self._spawn(number)
            except OSError as error:  # no memory or no processes just now: the others go on
                _log.error("worker.not_started", worker=number, error=str(error))
                continue
            await self._until_ready(number, worker)

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        """Start a worker and wait until it takes calls, or raise `EndedEarly`."""
        worker = await self._spawn(number)
        if not await self._until_ready(number, worker):
            exit_code = await self._ended(number, worker)
            if not self._stopping.is_set():
                raise EndedEarly(exit_code)
        return worker

    async def _spawn(self, number: int) -> asyncio.subprocess.Process:
        # It ends by itself when its stdin does, so none is left behind should we be killed.
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelkeep", "serve", "--worker", str(number)),
            env=self.environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._running[number] = worker
        if self._stopping.is_set():  # while it was started
            worker.terminate()
        return worker

    async def _until_ready(self, number: int, worker: asyncio.subprocess.Process) -> bool:
        """Whether it takes calls now; False if it has ended instead."""
        assert worker.stdout is not None  # noqa: S101 - it was asked for
        admin = ""
        while line := (await worker.stdout.readline()).decode():
            if line.startswith("modelkeep admin on http://"):
                admin = line.split("//")[1].partition("/")[0]
            elif line.startswith("modelkeep ready on "):
                self.admins[number] = admin
                return True
        return False

    async def _ended(self, number: int, worker: asyncio.subprocess.Process) -> int:
        exit_code = await worker.wait()
        self._running.pop(number, None)
        self.admins.pop(number, None)
        return exit_code

    async def _end_all(self) -> None:
        self.stop()
        left = [asyncio.create_task(worker.wait()) for worker in self._running.values()]
        if left:
            await asyncio.wait(left, timeout=self.drain_timeout_s + _MARGIN_S)
        for worker in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
        await asyncio.gather(*left)
