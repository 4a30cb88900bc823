"""The options that say which events, the same for `watch` and for webhooks."""

import functools
from collections.abc import Callable
from typing import Any

import click

from modelkeep import client


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb --event, --model and --resource; it gets them as `wanted`."""

    @functools.wraps(command)
    def called(
        *args: Any, event: tuple[str, ...], model: tuple[str, ...], resource: str, **kwargs: Any
    ) -> Any:
        return command(*args, wanted=client.EventFilter(event, model, resource), **kwargs)

    called = click.option(
        "--resource", default="", metavar="NAME", help="Only what happens to it or in it."
    )(called)
    called = click.option(
        "--model", multiple=True, metavar="GLOB", help="Only of models such as ticket-*; repeat."
    )(called)
    return click.option(
        "--event",
        "--filter",
        multiple=True,
        metavar="GLOB",
        help="Only actions such as stage.set or alias.*; repeat for more.",
    )(called)
