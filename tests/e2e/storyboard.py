"""How the demo looks: scenes, commands with their answers, and the slide at the end."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import registry_tree
from rich import box, console, highlighter, padding, panel, table, text

_COMMAND_TIMEOUT_S = 60
_SLIDE_WIDTH = 100
_COMMAND_WIDTH = 90


class Broken(Exception):
    """Something the demo shows is not true; the message says what."""


def require(truth: bool, otherwise: str) -> None:
    """Raise `Broken` unless it is true."""
    if not truth:
        raise Broken(otherwise)


class Storyboard:
    """Prints the story; paths below the scratch directory are shown relative to it."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._console = console.Console(highlight=False, soft_wrap=True)
        self._scenes = 0

    def scene(self, title: str) -> None:
        """Begin the next scene."""
        self._scenes += 1
        self._print(text.Text(f"\n{self._scenes}. {title}", "bold cyan"))

    def note(self, sentence: str) -> None:
        """Say something about what was seen."""
        self._print_indented(text.Text(sentence, "green"))

    def command(self, words: Sequence[str]) -> None:
        """Show a command as it would be typed."""
        shown = [word.replace(f"{self._scratch}/", "") for word in words]
        lines = _folded([shlex.quote(word) for word in shown])
        self._print(text.Text(f"   $ {lines}", "bold"))

    def answer(self, output: str) -> None:
        """Show what a command answered."""
        drawn = text.Text(output.replace(f"{self._scratch}/", "").rstrip())
        if drawn.plain.startswith("{"):
            highlighter.JSONHighlighter().highlight(drawn)
        self._print_indented(drawn)

    def run(self, endpoint: str, arguments: Sequence[str], expected: int) -> str:
        """Run a verb of the command line, show it and its answer; `Broken` on another exit code."""
        self.command(["modelkeep", *arguments])
        done = subprocess.run(
            [sys.executable, "-m", "modelkeep", "--endpoint", endpoint, *arguments],
            capture_output=True,
            text=True,
            check=False,  # some are meant to fail
            timeout=_COMMAND_TIMEOUT_S,
            env=registry_tree.without_settings(),
        )
        said = done.stdout if done.returncode == 0 else done.stdout + done.stderr
        self.answer(_compact(done.stdout) if done.stdout.startswith("{") else said)
        require(
            done.returncode == expected,
            f"exit code {done.returncode}, expected {expected}:\n{done.stderr}",
        )
        return said

    def slide(self, rows: Sequence[tuple[str, str]], took: str) -> None:
        """The summary."""
        grid = table.Table.grid(padding=(0, 3, 0, 0))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in rows:
            grid.add_row(name, value)
        framed = panel.Panel(
            grid,
            title="[bold]modelkeep[/]: what just happened",
            subtitle=took,
            box=box.ROUNDED,
            border_style="green",
            padding=(1, 2),
            width=min(self._console.width, _SLIDE_WIDTH),
        )
        self._console.print()
        self._console.print(framed, soft_wrap=False)

    def failed(self, why: str) -> None:
        """Say why the story ends here."""
        self._print(text.Text(f"\ndemo: {why}", "bold red"))

    def _print(self, drawn: console.RenderableType) -> None:
        self._console.print(drawn)

    def _print_indented(self, drawn: text.Text) -> None:
        if self._console.is_terminal:
            self._console.print(padding.Padding(drawn, (0, 0, 0, 3)), soft_wrap=False)
            return
        for line in drawn.split():
            self._print(text.Text.assemble("   ", line))


def outlined(document: dict[str, Any]) -> str:
    """A JSON object with each of its fields on one line."""
    fields = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in document.items()]
    return "{\n" + ",\n".join(fields) + "\n}"


def _compact(document: str) -> str:
    """A small JSON object on one line."""
    return json.dumps(json.loads(document))


def _folded(words: Sequence[str]) -> str:
    """Words on lines of bearable width, continued as a shell wants it; options keep their value."""
    lines = [""]
    for unit in _units(words):
        if lines[-1] and len(lines[-1]) + len(unit) >= _COMMAND_WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {unit}".strip()
    return " \\\n       ".join(lines)


def _units(words: Sequence[str]) -> list[str]:
    units: list[str] = []
    for place, word in enumerate(words):
        if place > 0 and words[place - 1].startswith("-") and not word.startswith("-"):
            units[-1] += f" {word}"
        else:
            units.append(word)
    return units
