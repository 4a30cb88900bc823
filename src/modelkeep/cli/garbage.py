"""`modelkeep gc`."""

import sys

import click
from rich import console as rich_console

from modelkeep import client
from modelkeep.cli import output, picking, session, settings, tables, units


@click.command()
@click.argument("namespace", required=False)
@click.option("--dry-run", is_flag=True, help="Remove nothing, only tell what would go.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output.option
@settings.connecting
@settings.pass_settings
def gc(
    chosen: settings.Settings, namespace: str | None, dry_run: bool, yes: bool, form: str
) -> None:
    """Remove blobs that nobody needs, in NAMESPACE or everywhere.

    A blob goes if no version has a file of it, deleted versions included, no open upload brings
    it, and nobody asked for it within the grace period. That is checked once more before each is
    removed, so it is safe while others push. What is removed cannot be brought back.
    """
    if not dry_run and not yes and sys.stdin.isatty():
        click.confirm(f"Remove what nobody needs in {namespace or 'all namespaces'}?", abort=True)

    async def work(registry: client.Registry) -> list[client.GarbageBlob]:
        found: list[client.GarbageBlob] = []
        async for where in picking.namespaces(registry, namespace):
            found += [blob async for blob in registry.collect_garbage(where, dry_run=dry_run)]
        return found

    found = session.run(chosen, work)
    total_bytes = sum(blob.size_bytes for blob in found)
    freed_bytes = sum(blob.freed_bytes for blob in found)
    document = {
        "dry_run": dry_run,
        "total_bytes": total_bytes,
        "freed_bytes": freed_bytes,
        "blobs": found,
    }
    output.emit(document, form, lambda: _drawn(found, dry_run=dry_run))


def _drawn(found: list[client.GarbageBlob], *, dry_run: bool) -> object:
    if not found:
        return "nothing to remove"
    total_bytes = sum(blob.size_bytes for blob in found)
    freed = units.size(sum(blob.freed_bytes for blob in found))
    what = f"{units.count(len(found), 'blob')}, {units.size(total_bytes)}"
    done = (
        f"{what} would go, which would free {freed} at once"
        if dry_run
        else f"{what} removed, {freed} freed at once"
    )
    return rich_console.Group(tables.garbage(found), done)
