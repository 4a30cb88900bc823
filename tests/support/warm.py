"""`python -m modelkeep` without the seconds that the interpreter takes to import it.

Inside `starting` a program of ours that is started by `subprocess` or `asyncio` is forked from a
process that has imported everything (`warm_parent.py`). It has a process id, streams, environment
and end of its own like any other, and is our child. What is started in another way, with options
of the interpreter, or with variables that it reads as it starts, starts as ever.
"""

import contextlib
import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelkeep import allocator

_PROGRAM = [sys.executable, "-m", "modelkeep"]
_PR_SET_CHILD_SUBREAPER = 36
_INTERPRETERS = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "GLIBC_")
_INHERITED = -1
_ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_plainly = subprocess.Popen._execute_child
_arguments = inspect.signature(_plainly)


class Parent:
    """The process that all others are forked from; started for the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._door: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, wanted: Mapping[str, Any], streams: list[int]) -> int:
        """The id of a new process of ours, which is a child of this one."""
        with self._lock:
            if self._door is None:
                self._door = self._start()
            with _subreaping():  # until it is here: what else becomes an orphan is not ours to take
                socket.send_fds(self._door, [json.dumps(wanted).encode()], streams)
                answer = self._door.recv(32)
        return int(answer)

    def close(self) -> None:
        """End it; those that it forked live on."""
        if self._door is not None and self._process is not None:
            self._door.close()
            self._process.wait(10)

    def _start(self) -> socket.socket:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = Path(__file__).with_name("warm_parent.py")
        with there:
            self._process = subprocess.Popen(
                [sys.executable, str(program), str(there.fileno())],
                env={**os.environ, **allocator.SETTINGS},
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
            )
        return here


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Programs of ours are forked inside the block, where the system can give us children."""
    parent = Parent()

    def execute_child(popen: Any, *given: Any, **named: Any) -> None:
        asked = _arguments.bind(popen, *given, **named).arguments
        if not _is_plain(asked):
            _plainly(popen, *given, **named)
            return
        popen.pid = parent.fork(_wanted(asked), _streams(asked))
        popen._child_created = True
        popen._close_pipe_fds(*(asked[name] for name in _ENDS))

    subprocess.Popen._execute_child = execute_child
    try:
        yield
    finally:
        subprocess.Popen._execute_child = _plainly
        parent.close()


def _streams(asked: Mapping[str, Any]) -> list[int]:
    ends = (asked["p2cread"], asked["c2pwrite"], asked["errwrite"])
    return [number if end == _INHERITED else end for number, end in enumerate(ends)]


def _wanted(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "argv": [os.fsdecode(word) for word in asked["args"][1:]],
        "environ": dict(os.environ if asked["env"] is None else asked["env"]),
        "directory": os.fsdecode(asked["cwd"] or ""),
        "new_session": asked["start_new_session"],
    }


def _is_plain(asked: Mapping[str, Any]) -> bool:
    """Whether a fork is as good as a start."""
    words = asked["args"]
    special = ("shell", "executable", "preexec_fn", "pass_fds", "uid", "gid", "gids")
    return (
        sys.platform == "linux"
        and not isinstance(words, str | bytes)
        and list(words[:3]) == _PROGRAM
        and not any(asked[name] for name in special)
        and _of_interpreter(asked["env"]) == _of_interpreter(None)
    )


def _of_interpreter(environ: Mapping[str, str] | None) -> dict[str, str]:
    chosen = os.environ if environ is None else environ
    return {
        key: value
        for key, value in chosen.items()
        if key.startswith(_INTERPRETERS) and key not in allocator.SETTINGS
    }


@contextlib.contextmanager
def _subreaping() -> Iterator[None]:
    """Orphans among our descendants become our children inside the block."""
    system = ctypes.CDLL(None)
    system.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        system.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
