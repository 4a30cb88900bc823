"""Results on standard output: a table for people, JSON or YAML for programs."""

import dataclasses
import enum
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import click
import yaml

from modelkeep.cli import safe_console, safe_text

_PIPE_WIDTH = 4000
"""Columns where nobody looks: nothing is wrapped or cut."""
_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


def option(command: _Command) -> _Command:
    """Give a verb the option -o."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="How to print the result.",
    )(command)


def emit(document: object, form: str, draw: Callable[[], Any]) -> None:
    """Print a result: the document for programs, or what `draw` makes for people."""
    match form:
        case "json":
            text = json.dumps(plain(document), indent=2, ensure_ascii=False)
            click.echo(safe_text.escaped(text))
        case "yaml":
            text = yaml.safe_dump(plain(document), sort_keys=False, allow_unicode=True)
            if safe_text.printable(text) != text:  # then all that is not ASCII is escaped
                text = yaml.safe_dump(plain(document), sort_keys=False, allow_unicode=False)
            click.echo(text, nl=False)
        case _:
            show(draw())


def show(drawing: Any) -> None:
    """Print something drawn with rich; in a pipe without colours, wrapping and trailing blanks."""
    if is_terminal():
        safe_console.Console(highlight=False).print(drawing)
        return
    console = safe_console.Console(width=_PIPE_WIDTH, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(drawing)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()


def _instant(value: date) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()


def plain(value: object) -> Any:
    """The value as JSON knows it: records as objects, instants as RFC 3339 text in UTC."""
    if dataclasses.is_dataclass(value):
        names = (field.name for field in dataclasses.fields(value))
        return {name: plain(getattr(value, name)) for name in names}
    match value:
        case enum.Enum():
            return value.value
        case date():
            return _instant(value)
        case Mapping():
            return {key: plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [plain(entry) for entry in value]
    return value
