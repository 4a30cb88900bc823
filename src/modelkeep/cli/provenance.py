"""`modelkeep provenance` and `modelkeep sbom`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from modelkeep import client
from modelkeep.cli import picking, safe_text, session, settings

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


def _to_file(command: _Command) -> _Command:
    return click.option(
        "-o",
        "--output",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write it there instead of printing it.",
    )(command)


@click.command()
@click.argument("ref")
@_to_file
@settings.connecting
@settings.pass_settings
def provenance(chosen: settings.Settings, ref: str, file: Path | None) -> None:
    """Write how a version came to be: in-toto, SLSA.

    It tells what the registry was told when the version was made: source commit, datasets, base
    model, parameters, by whom and when; and the digest of each file, which it verified itself.
    """
    _write(chosen, ref, file, lambda registry, exact: registry.provenance_statement(exact))


@click.command()
@click.argument("ref")
@_to_file
@settings.connecting
@settings.pass_settings
def sbom(chosen: settings.Settings, ref: str, file: Path | None) -> None:
    """Write what is in a version, as a CycloneDX bill.

    Files with their hashes, dependencies, datasets, base model, licence, and a model card with
    what was measured.
    """
    _write(chosen, ref, file, lambda registry, exact: registry.bill_of_materials(exact))


def _write(
    chosen: settings.Settings,
    ref: str,
    file: Path | None,
    ask: Callable[[client.Registry, str], Awaitable[str]],
) -> None:
    async def work(registry: client.Registry) -> str:
        return await ask(registry, await picking.exact(registry, ref))

    document = session.run(chosen, work)
    if file is None:
        click.echo(safe_text.escaped(document))
    else:
        file.write_text(f"{document}\n", "utf-8")
