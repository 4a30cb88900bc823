"""How the demo looks: scenes, commands with their answers, and the slide at the end."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command_line
import registry_tree
from rich import box, console, highlighter, padding, panel, table, text

_SLIDE_WIDTH = 100
_COMMAND_WIDTH = 90
ANSWER_LINES = 12


class Broken(Exception):
    """Something the demo shows is not true; the message says what."""


def require(truth: bool, otherwise: str) -> None:
    """Raise `Broken` unless it is true."""
    if not truth:
        raise Broken(otherwise)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who types; without a token it is who started the registry."""

    name: str
    token: str = ""

    def environ(self) -> dict[str, str]:
        """The environment of what they type."""
        return {
            **registry_tree.without_settings(),
            **({"MODELKEEP_TOKEN": self.token} if self.token else {}),
        }


class Storyboard:
    """Prints the story.

    Args:
        scratch: where commands run, so that paths are short.
        commands: what runs them, there.
    """

    def __init__(self, scratch: Path, commands: command_line.CommandLine) -> None:
        self.endpoint = ""
        self._scratch = scratch
        self._commands = commands
        self._console = console.Console(highlight=False, soft_wrap=True)
        self._scenes = 0

    def title(self, sentence: str) -> None:
        """Say what this is."""
        self._print(text.Text(sentence, "bold"))

    def scene(self, title: str) -> None:
        """Begin the next scene."""
        self._scenes += 1
        self._print(text.Text(f"\n{self._scenes}. {title}", "bold cyan"))

    def note(self, sentence: str) -> None:
        """Say something about what was seen."""
        self._print_indented(text.Text(sentence, "green"))

    def command(self, words: Sequence[str], who: str = "") -> None:
        """Show a command as it would be typed."""
        lines = _folded([shlex.quote(word) for word in words])
        prompt = f"   {who} $ " if who else "   $ "
        self._print(text.Text.assemble((prompt, "dim"), (lines, "bold")))

    def answer(self, output: str, lines: int = ANSWER_LINES) -> None:
        """Show what a command answered, the first lines of it."""
        said = output.replace(f"{self._scratch}/", "").rstrip().splitlines()
        shown = [*said[:lines], *(["…"] if 0 < lines < len(said) else [])]
        drawn = text.Text("\n".join(shown))
        if drawn.plain.startswith("{"):
            highlighter.JSONHighlighter().highlight(drawn)
        drawn.highlight_regex(r"(?m)^error: .*", "red")
        if shown:
            self._print_indented(drawn)

    def run(
        self,
        who: Person,
        arguments: Sequence[str],
        *,
        expected: int = 0,
        lines: int = ANSWER_LINES,
    ) -> str:
        """Run a verb, show it and the first lines of its answer; `Broken` on another exit code."""
        self.command(["modelkeep", *arguments], who.name)
        done = self._ran(who, arguments)
        require(
            done.exit_code == expected,
            f"exit code {done.exit_code}, expected {expected}:\n{done.stdout}{done.stderr}",
        )
        # Progress is for those who wait; of a refusal standard error is the answer.
        said = done.stdout if expected == 0 else done.stdout + done.stderr
        self.answer(said, lines)
        return said

    def ask(self, who: Person, arguments: Sequence[str], fields: Sequence[str]) -> dict[str, Any]:
        """Run a verb for its JSON, of which some fields are shown."""
        self.command(["modelkeep", *arguments, "-o", "json"], who.name)
        done = self._ran(who, [*arguments, "-o", "json"])
        require(done.exit_code == 0, f"exit code {done.exit_code}:\n{done.stderr}")
        read: dict[str, Any] = json.loads(done.stdout)
        self.answer(some_of(read, fields))
        return read

    def quietly(self, who: Person, arguments: Sequence[str]) -> str:
        """Run a verb of which nothing is shown: it answers with a secret."""
        done = self._ran(who, arguments)
        require(done.exit_code == 0, f"exit code {done.exit_code}:\n{done.stderr}")
        return done.stdout

    def _ran(self, who: Person, arguments: Sequence[str]) -> command_line.Answer:
        return self._commands.run(arguments, {**who.environ(), "MODELKEEP_ENDPOINT": self.endpoint})

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


def some_of(document: dict[str, Any], fields: Sequence[str]) -> str:
    """Some fields of a JSON object on one line."""
    shown = [f"{json.dumps(name)}: {json.dumps(document[name])}" for name in fields]
    return "{" + ", ".join([*shown, "…" if len(fields) < len(document) else ""]).strip(", ") + "}"


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
