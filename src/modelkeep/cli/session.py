"""Running a verb's work against the registry, every way it can end included."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from modelkeep import client
from modelkeep.cli import credentials, failures, settings

_Result = TypeVar("_Result")


def run(
    chosen: settings.Settings, work: Callable[[client.Registry], Awaitable[_Result]]
) -> _Result:
    """The result of the work.

    Raises:
        Failure: the registry or the SDK refused or failed.
        click.ClickException: the file system failed.
        click.exceptions.Exit: with 130 on Ctrl-C.
    """
    return run_with(chosen, lambda: credentials.chosen_by(chosen), work)


def run_with(
    chosen: settings.Settings,
    show: Callable[[], client.Credentials],
    work: Callable[[client.Registry], Awaitable[_Result]],
) -> _Result:
    """As `run`, with these credentials."""
    try:
        return asyncio.run(_connected(chosen, show(), work))
    except client.RegistryError as error:
        raise failures.from_error(error, chosen) from error
    except KeyboardInterrupt:
        click.echo("\nInterrupted; run the same command again to go on.", err=True)
        raise click.exceptions.Exit(failures.INTERRUPTED) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileFailure(error) from error


class FileFailure(click.ClickException):
    """The file system did not do what was asked."""

    def __init__(self, error: OSError) -> None:
        where = f"{error.filename}: " if error.filename else ""
        super().__init__(f"{where}{error.strerror or error}.")

    def show(self, file: object = None) -> None:
        """Write it to standard error."""
        del file
        failures.report(self.message)


async def _connected(
    chosen: settings.Settings,
    shown: client.Credentials,
    work: Callable[[client.Registry], Awaitable[_Result]],
) -> _Result:
    async with client.connect(chosen.endpoint, credentials=shown) as registry:
        return await work(registry)
