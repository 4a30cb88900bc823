"""`modelkeep dev` as a child of a test: started, looked at, killed in part, and always ended."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from support import services

from modelkeep.local import seaweed

PARTS = ("server", "s3", "postgres")
USER = "alice"
"""Who runs it, and is its administrator."""
_READY = "modelkeep ready on "


class Tree:
    """One run of `modelkeep dev` on a data directory."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        began = time.monotonic()
        self._errors = (data.parent / "dev.stderr").open("w+")
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "modelkeep", "dev", "--data", str(data), *arguments],
            env=services.clean_environ(MODELKEEP_LISTEN="127.0.0.1:0", LOGNAME=USER),
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.line = self.supervisor.stdout.readline()
        self.ready_after_s = time.monotonic() - began
        if not self.line.startswith(_READY):
            self.close()
            raise AssertionError(self.errors())
        self.endpoint = self.line.removeprefix(_READY).strip()

    def errors(self) -> str:
        return (self.data.parent / "dev.stderr").read_text()

    def part(self, name: str) -> psutil.Process:
        """The process of one part, by its record."""
        return psutil.Process(json.loads((self.data / "run" / f"{name}.json").read_text())["pid"])

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all that descends from it."""
        top = psutil.Process(self.supervisor.pid)
        return [top, *top.children(recursive=True)]

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """End it in good order; its exit code."""
        self.supervisor.send_signal(sign)
        return self.supervisor.wait(40)

    def kill(self) -> None:
        """Kill the supervisor alone, as the kernel would."""
        self.supervisor.kill()
        self.supervisor.wait()

    def close(self) -> None:
        """End whatever is left of this run, each by its own id."""
        left = [*self._left()]
        if self.supervisor.poll() is None:
            self.kill()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, 10)
        seaweed.SeaweedFS(self.data)._remove_sockets()
        self.supervisor.stdout.close()
        self._errors.close()

    def _left(self) -> Iterator[psutil.Process]:
        if self.supervisor.poll() is None:
            yield from psutil.Process(self.supervisor.pid).children(recursive=True)
        for name in PARTS:
            with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess, ValueError):
                yield self.part(name)


@contextlib.contextmanager
def running(data: Path, *arguments: str) -> Iterator[Tree]:
    """A tree that is ready; nothing of it is left afterwards."""
    tree = Tree(data, *arguments)
    try:
        yield tree
    finally:
        tree.close()


def attempt(data: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A `modelkeep dev` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "modelkeep", "dev", "--data", str(data)],
        env=services.clean_environ(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def until(condition: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """Return the first true value of a condition that another process brings about."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)
    return value
