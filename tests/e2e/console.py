"""Documentation that runs: ```console blocks, their commands, and what they must answer.

In such a block a line that begins with `$ ` is a command (a trailing backslash, an open
quote or an open here-document continues it), and the lines up to the next command are its answer.
In an answer, `…` stands for anything within a line, and a line of nothing but `…` for any number of
lines.
"""

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEREDOC = re.compile(r"<<'(\w+)'")
_PROMPT = "$ "
_ANY = "…"
_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a document: where it stands, what is typed, what must come back."""

    place: str
    typed: str
    answer: str

    def runs(self, program: str) -> bool:
        """Whether it starts that program."""
        return re.search(rf"(^|[|(]\s*|\$\(){program}\b", self.typed) is not None

    def accepts(self, output: str) -> bool:
        """Whether the output is the documented answer."""
        lines = [_pattern(line) for line in self.answer.splitlines()]
        return re.fullmatch("".join(lines), _ended(output)) is not None


def commands(document: Path) -> list[Command]:
    """Every command of every console block of a document, in order."""
    text = document.read_text(encoding="utf-8")
    found: list[Command] = []
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1)) + 1
        found += _commands_of(block[1], document.name, line)
    return found


def outside_blocks(document: Path) -> str:
    """The text of a document without its console blocks."""
    return _BLOCK.sub("", document.read_text(encoding="utf-8"))


def _commands_of(block: str, document: str, first_line: int) -> list[Command]:
    found: list[list[str]] = []
    places: list[str] = []
    for number, line in enumerate(block.splitlines(), first_line):
        if line.startswith(_PROMPT):
            places.append(f"{document}:{number}")
            found.append([line.removeprefix(_PROMPT), ""])
        elif not found:
            raise ValueError(f"{document}:{number}: an answer without a command")
        elif not found[-1][1] and _is_open(found[-1][0]):
            found[-1][0] += f"\n{line}"
        else:
            found[-1][1] += f"{line}\n"
    return [
        Command(place, typed, answer) for place, (typed, answer) in zip(places, found, strict=True)
    ]


def _is_open(typed: str) -> bool:
    """Whether a shell would wait for another line."""
    heredoc = _HEREDOC.search(typed)
    if heredoc is not None:
        return typed.splitlines()[-1] != heredoc[1]
    try:
        shlex.split(typed)
    except ValueError:
        return True
    return typed.endswith("\\")


def play(
    listed: Sequence[Command], directory: Path, environ: dict[str, str], replaced: dict[str, str]
) -> list[str]:
    """What each command printed, standard error included, all in one shell in that directory.

    Args:
        listed: the commands, in order; variables that one sets, the next may use.
        directory: where to run; must be empty but for what the commands may find.
        environ: the environment of the shell.
        replaced: what the document says for what is true here, both ways (an address).
    """
    outputs = directory.parent / f"{directory.name}.outputs"
    outputs.mkdir()
    script = [_step(command, number, outputs) for number, command in enumerate(listed)]
    subprocess.run(
        ["bash", "-c", _substituted("\n".join(script), replaced)],
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        check=False,  # it ends with the status of the last command, which may be documented
    )
    back = {there: here for here, there in replaced.items()}
    return [
        _substituted((outputs / str(number)).read_text(encoding="utf-8"), back)
        for number in range(len(listed))
    ]


def _step(command: Command, number: int, outputs: Path) -> str:
    # The status is put back last, so that `echo $?` in a document tells the truth.
    typed = f"(exit $status)\n{{ {command.typed}\n}} > {outputs}/{number} 2>&1"
    return f"{typed}\nstatus=$?" if number else f"status=0\n{typed}\nstatus=$?"


def _substituted(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def _pattern(line: str) -> str:
    if line.strip() == _ANY:
        return r"(?:.*\n)*?"
    return "[^\n]*?".join(re.escape(part) for part in line.rstrip().split(_ANY)) + r"[ \t]*\n"


def _ended(output: str) -> str:
    """The output as a document shows it: without blank lines at its end."""
    return f"{output.rstrip()}\n" if output.strip() else ""
