"""One supervised process: started through the shim, recorded on disk, ended within a bound."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from modelkeep.local import files

_SHIM = Path(__file__).with_name("shim.py")
_POLL_S = 0.05
_CREATED_TOLERANCE_S = 2.0  # the kernel's boot time, and with it every start time, may be stepped
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run and how to end it.

    Args:
        name: one word; names the log and the record.
        death_signal: sent by the kernel should the supervisor die without ending the program.
        stop_signals: sent in turn, each followed by `stop_timeout_s`; SIGKILL follows by itself.
        user: uid and gid to run as, or (-1, -1) for our own.
        output: file that takes what the program prints on stdout; the log if None.
    """

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    directory: Path
    death_signal: signal.Signals
    stop_signals: Sequence[signal.Signals]
    stop_timeout_s: float
    user: tuple[int, int] = (-1, -1)
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where the records and logs of the children of one data directory lie."""

    data: Path

    def record(self, name: str) -> Path:
        """File that names the last process started under this name."""
        return self.data / "run" / f"{name}.json"

    def log(self, name: str) -> Path:
        """File that takes what the process prints."""
        return self.data / "logs" / f"{name}.log"


class Child:
    """A running program. `pid` stays valid until `wait` or `stop` has returned."""

    def __init__(self, program: Program, places: Places, running: subprocess.Popen[bytes]) -> None:
        self._program = program
        self._places = places
        self._running = running

    @property
    def pid(self) -> int:
        """Process id."""
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code once the program has ended, minus the signal that ended it; else None."""
        return self._running.poll()

    async def wait(self) -> int:
        """Wait for the program to end by itself and return its exit code."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - see `start`
            await asyncio.sleep(_POLL_S)
        return code

    async def stop(self) -> None:
        """End the program, the harder the longer it takes; its record goes with it."""
        for sign in (*self._program.stop_signals, signal.SIGKILL):
            if await self._ended_by(sign):
                break
        self._places.record(self._program.name).unlink(missing_ok=True)

    async def _ended_by(self, sign: signal.Signals) -> bool:
        self._running.send_signal(sign)  # does nothing if it has ended
        try:
            await asyncio.wait_for(self.wait(), self._program.stop_timeout_s)
        except TimeoutError:
            _log.warning("%s did not end on %s", self._program.name, sign.name)
            return False
        return True


def start(program: Program, places: Places) -> Child:
    """Start the program with its output in its log.

    The calling thread must outlive the child: the kernel ties the two together. Not a subprocess
    of asyncio: there, a cancellation between fork and exec hangs or leaves an orphan.
    """
    log = files.open_log(places.log(program.name))
    output = files.open_fresh(program.output) if program.output else log
    try:
        running = subprocess.Popen(  # noqa: S603 - programs of our own choice
            _shimmed(program),
            env=dict(program.environ),
            cwd=program.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the supervisor only; it ends us in order
        )
    finally:
        for descriptor in {log, output}:
            os.close(descriptor)
    _write_record(places.record(program.name), running.pid)
    return Child(program, places, running)


def _shimmed(program: Program) -> list[str]:
    who = [os.getpid(), program.death_signal.value, *program.user]
    shim = [sys.executable, "-I", "-S", str(_SHIM)]
    return [*shim, *(str(number) for number in who), *program.argv]


def _write_record(record: Path, pid: int) -> None:
    files.private_directory(record.parent)
    with contextlib.suppress(psutil.NoSuchProcess):  # ended already: its caller will see
        created = psutil.Process(pid).create_time()
        files.write_private(record, json.dumps({"pid": pid, "created": created}))


async def end_leftover(name: str, places: Places, sign: signal.Signals) -> None:
    """End what an earlier supervisor started under this name and left, by its recorded id."""
    record = places.record(name)
    leftover = recorded(record)
    if leftover is not None:
        _log.warning("ending the %s that an earlier run left behind (pid %d)", name, leftover.pid)
        await end([leftover], sign)
    record.unlink(missing_ok=True)


def recorded(record: Path) -> psutil.Process | None:
    """The process that a record names, if it still runs and is not another of the same id."""
    try:
        written = json.loads(record.read_text(encoding="utf-8"))
        found = psutil.Process(written["pid"])
        same = abs(found.create_time() - written["created"]) < _CREATED_TOLERANCE_S
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
        return None


async def end(leftovers: Sequence[psutil.Process], sign: signal.Signals) -> None:
    """Send each process the signal, and SIGKILL to those that live 5 s later."""
    for leftover in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            leftover.send_signal(sign)
    _, alive = await asyncio.to_thread(psutil.wait_procs, leftovers, 5)
    for leftover in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            leftover.kill()
    await asyncio.to_thread(psutil.wait_procs, alive, 5)
