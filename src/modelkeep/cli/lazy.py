"""A click group that loads a verb's module only when the verb is called."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a command is (`module:attribute`), and its line in the list of commands."""

    place: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are known by sections of name and summary, and loaded on demand."""

    def __init__(
        self, *args: Any, sections: Mapping[str, Mapping[str, Verb]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        self._verbs: dict[str, Verb] = {}
        for verbs in sections.values():
            self._verbs.update(verbs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of their sections."""
        del ctx
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, its module imported now; None if there is none."""
        del ctx
        if cmd_name not in self._verbs:
            return None
        module, _, attribute = self._verbs[cmd_name].place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, without its suggestions, which would import every module."""
        if args and args[0] not in self._verbs and not args[0].startswith("-"):
            ctx.fail(_unknown(args[0], list(self._verbs)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections; nothing is imported for it."""
        del ctx
        width = max(map(len, self._verbs))
        for title, verbs in self._sections.items():
            with formatter.section(title):
                rows = [(name.ljust(width), verb.summary) for name, verb in verbs.items()]
                formatter.write_dl(rows)


def _unknown(name: str, known: Sequence[str]) -> str:
    # Imported here: most runs never need it.
    difflib = importlib.import_module("difflib")
    near = difflib.get_close_matches(name, known, n=1)
    advice = f"Did you mean {near[0]!r}?" if near else "`modelkeep --help` lists the commands."
    return f"No such command {name!r}. {advice}"
