"""A program that has imported all of ours, and forks whenever a test wants it started.

    python warm_parent.py FD

FD is a socket of whole messages: one asks for a process (JSON: `argv` after the interpreter's
name, `environ`, `directory`, `new_session`) and carries its three standard streams, the answer is
its process id. The process is an orphan by then, which goes to the nearest subreaper.
"""

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import socket
import sys
import threading
from typing import Any

from modelkeep.cli import main

_MOST_BYTES = 1 << 18
_SERVER = ("modelkeep.app", "modelkeep.config", "modelkeep.log")


def forked(door: socket.socket) -> dict[str, Any] | None:
    """Fork for every request; in a new process what it was asked for, at the end None."""
    while True:
        message, streams, _, _ = socket.recv_fds(door, _MOST_BYTES, 3)
        if not message:
            return None
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            child = os.fork()
            if child == 0:
                door.close()
                become(json.loads(message), streams, (reading, writing))
                return json.loads(message)
            os.write(writing, str(child).encode())
            os._exit(0)
        os.waitpid(middle, 0)
        door.send(os.read(reading, 32))
        for descriptor in (*streams, reading, writing):
            os.close(descriptor)


def become(wanted: dict[str, Any], streams: list[int], spare: tuple[int, ...]) -> None:
    """Have the streams, the environment and the place of the process that is wanted."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for descriptor in (*streams, *spare):
        os.close(descriptor)
    if wanted["new_session"]:
        os.setsid()
    if wanted["directory"]:
        os.chdir(wanted["directory"])
    os.environ.clear()
    os.environ.update(wanted["environ"])
    for name, number, mode in (("stdin", 0, "rb"), ("stdout", 1, "wb"), ("stderr", 2, "wb")):
        setattr(sys, name, again(getattr(sys, name), number, mode))
        setattr(sys, f"__{name}__", getattr(sys, name))


def again(past: io.TextIOWrapper, number: int, mode: str) -> io.TextIOWrapper:
    """A standard stream as the interpreter makes it, with nothing in its buffer."""
    return io.TextIOWrapper(
        open(number, mode, closefd=False),
        encoding=past.encoding,
        errors=past.errors,
        line_buffering=number == 2 or os.isatty(number),
        write_through="PYTHONUNBUFFERED" in os.environ,
    )


def import_all() -> None:
    """Import the server and every verb."""
    for module in _SERVER:
        importlib.import_module(module)
    for verbs in main.SECTIONS.values():
        for verb in verbs.values():
            importlib.import_module(verb.place.partition(":")[0])


def run(words: list[str]) -> None:
    """Run our program to its end, that of the threads and of what was to be done at exit.

    The interpreter is not taken apart afterwards: that writes to all memory we share.
    """
    sys.argv = words[1:]
    sys.orig_argv = [sys.executable, *words]
    code: Any = 0
    try:
        runpy.run_module("modelkeep", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    import_all()
    gc.collect()
    gc.freeze()  # what is never looked at again stays shared with all processes
    asked = forked(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        run(asked["argv"])
