"""`modelkeep dev` as a child of the demo: started, and ended whatever happens."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READY = "modelkeep ready on "
OWNER = "alice"
"""Who starts it, and is its administrator."""
_PARTS = ("postgres", "s3", "server")
_STOP_TIMEOUT_S = 40


@dataclass(frozen=True, slots=True)
class Tree:
    """A running registry: where it answers, and the ids of its processes by name."""

    endpoint: str
    pids: dict[str, int]


@contextlib.contextmanager
def running(data: Path) -> Iterator[Tree]:
    """A registry on a free loopback port with its data in that directory."""
    log = data.with_suffix(".log")
    with log.open("w") as errors:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "modelkeep", "dev"),
                *("--data", str(data), "--listen", "127.0.0.1:0"),
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**without_settings(), "LOGNAME": OWNER},
            start_new_session=True,  # a Ctrl-C is for the demo, which then ends this child in order
        )
    try:
        yield _described(child, data, log)
    finally:
        _end(child)


def _described(child: subprocess.Popen[str], data: Path, log: Path) -> Tree:
    line = child.stdout.readline() if child.stdout else ""
    if not line.startswith(READY):
        raise SystemExit(f"The registry does not start:\n{log.read_text()}")
    pids = {"modelkeep dev": child.pid}
    for part in _PARTS:
        pids[part] = json.loads((data / "run" / f"{part}.json").read_text())["pid"]
    return Tree(line.removeprefix(READY).strip(), pids)


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()  # its children end with it
        child.wait()


def alive(pid: int) -> bool:
    """Whether a process of that id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def without_settings() -> dict[str, str]:
    """The environment without any setting of ours, so that the demo never meets a real registry."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
