"""The command line, ready to run: each command a process that has its imports already.

The demo runs forty commands, and each would import the same for half a second. So it starts this
program once, which forks for each: it does what `modelkeep` does, only sooner.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from modelkeep import __main__ as program
from modelkeep.cli import main as cli_main

_COMMAND_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said, and its exit code; below 0: the signal that ended it."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class _Order:
    arguments: list[str]
    environ: dict[str, str]
    directory: str
    stdout: str
    stderr: str


class CommandLine:
    """Runs commands one after another in a directory; a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.communicate()  # its input ends, and so does it

    def run(self, arguments: Sequence[str], environ: dict[str, str]) -> Answer:
        """Run `modelkeep` with these arguments in that environment."""
        said = [self._directory / f".{name}" for name in ("stdout", "stderr")]
        order = _Order([*arguments], environ, str(self._directory), *map(str, said))
        if self._server is None or self._server.stdin is None or self._server.stdout is None:
            raise RuntimeError("enter it first")
        self._server.stdin.write(f"{json.dumps(asdict(order))}\n")
        self._server.stdin.flush()
        ended = self._server.stdout.readline()
        if not ended:
            raise SystemExit("What runs the commands of the demo has ended.")
        return Answer(int(ended), *(path.read_text() for path in said))


def _serve() -> None:
    for line in sys.stdin:
        order = _Order(**json.loads(line))
        child = os.fork()
        if child == 0:
            _become(order)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(order: _Order) -> None:
    """Be the command; it ends this process with its exit code."""
    signal.alarm(_COMMAND_TIMEOUT_S)  # which ends the process
    os.environ.clear()
    os.environ.update(order.environ)
    os.chdir(order.directory)
    for number, path in enumerate((order.stdout, order.stderr), 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["modelkeep", *order.arguments]
    program.main()


def _import_all() -> None:
    for verbs in cli_main.SECTIONS.values():
        for verb in verbs.values():
            importlib.import_module(verb.place.partition(":")[0])


if __name__ == "__main__":
    _import_all()
    _serve()
