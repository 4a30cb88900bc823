"""What every verb is told by the options before and behind it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_ENDPOINT = "127.0.0.1:7420"
ENDPOINT_METAVAR = "[https://]HOST:PORT"
# Click's own type for what a decorator of a command takes and gives.
_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Which server, by what it is known and we are, and how much to say about errors."""

    endpoint: str
    verbose: bool
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


pass_settings = click.make_pass_decorator(Settings)


def connecting(command: _Command) -> _Command:
    """Let a verb take --endpoint and -v behind its name as well as before it."""
    command = click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_override,
        help="Show the details of errors.",
    )(command)
    return click.option(
        "--endpoint",
        expose_value=False,
        callback=_override,
        metavar=ENDPOINT_METAVAR,
        help="The server to speak to.",
    )(command)


def _override(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        context.obj = dataclasses.replace(context.obj, **{parameter.name: value})
