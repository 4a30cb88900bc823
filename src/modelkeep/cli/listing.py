"""`modelkeep ls`."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import click

from modelkeep import client
from modelkeep.cli import output, session, settings, tables

_Entry = TypeVar("_Entry")


@click.command()
@click.argument("where", required=False, metavar="[NAMESPACE[/MODEL]]")
@click.option("--deleted", is_flag=True, help="List what is deleted, too.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@output.option
@settings.connecting
@settings.pass_settings
def ls(chosen: settings.Settings, where: str | None, deleted: bool, limit: int, form: str) -> None:
    """List namespaces, models or versions.

    Without a place, all namespaces; in a namespace, its models; in a model, its versions, the
    newest first.
    """

    async def work(registry: client.Registry) -> tuple[list[Any], Any]:
        entries, draw = _source(registry, where, deleted)
        return await _first(entries, limit), draw

    entries, draw = session.run(chosen, work)
    output.emit(entries, form, lambda: draw(entries))


def _source(
    registry: client.Registry, where: str | None, deleted: bool
) -> tuple[AsyncIterator[Any], Any]:
    if where is None:
        return registry.list_namespaces(), tables.namespaces
    if client.parse_ref(where).model:
        return registry.list_versions(where, show_deleted=deleted), tables.versions
    return registry.list_models(where, show_deleted=deleted), tables.models


async def _first(entries: AsyncIterator[_Entry], limit: int) -> list[_Entry]:
    taken: list[_Entry] = []
    async for entry in entries:
        taken.append(entry)
        if len(taken) == limit:
            click.echo(f"Only the first {limit} are shown; raise --limit for more.", err=True)
            break
    return taken
