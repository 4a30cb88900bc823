"""`modelkeep quota show|set|recount`."""

import click
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, output, safe_text, session, settings, tables, units, values

_PERCENT = 100


def _size(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    return None if text is None else values.limit(text, values.size_bytes)


def _number(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    return None if text is None else values.limit(text, values.whole)


@click.group()
def quota() -> None:
    """Show and set how much a namespace may take.

    stored: bytes of blobs, each once, and of open uploads. logical: bytes of all versions' files,
    as if no two shared a blob; a deleted version counts until it is purged. uploads: how many may
    be open at a time.
    """


@quota.command()
@click.argument("namespace")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, namespace: str, form: str) -> None:
    """Show what NAMESPACE takes, and may take."""

    async def work(registry: client.Registry) -> client.NamespaceUsage:
        return await registry.namespace_usage(namespace)

    found = session.run(chosen, work)
    output.emit(found, form, lambda: _drawn(found))


@quota.command("set")
@click.argument("namespace")
@click.option("--stored", callback=_size, metavar="SIZE|none", help="Most bytes stored: 500GiB.")
@click.option("--logical", callback=_size, metavar="SIZE|none", help="Most logical bytes: 2TiB.")
@click.option("--open-uploads", callback=_number, metavar="N|none", help="Most open uploads.")
@output.option
@settings.connecting
@settings.pass_settings
def set_quota(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings,
    namespace: str,
    stored: int | None,
    logical: int | None,
    open_uploads: int | None,
    form: str,
) -> None:
    """Limit what NAMESPACE may take; none lifts a limit.

    A limit below what is taken already takes nothing away; it lets nothing more in.
    """
    if (stored, logical, open_uploads) == (None, None, None):
        raise click.UsageError("Say what to limit: --stored, --logical or --open-uploads.")

    async def work(registry: client.Registry) -> client.NamespaceUsage:
        await registry.set_quotas(
            namespace, stored_bytes=stored, logical_bytes=logical, open_uploads=open_uploads
        )
        return await registry.namespace_usage(namespace)

    found = session.run(chosen, work)
    output.emit(found, form, lambda: _drawn(found))


@quota.command()
@click.argument("namespace")
@output.option
@settings.connecting
@settings.pass_settings
def recount(chosen: settings.Settings, namespace: str, form: str) -> None:
    """Count anew what NAMESPACE takes, should anybody doubt the counters.

    Changes of the namespace wait meanwhile. Should the counters have been wrong, they are put right
    and the audit log says so: then there is a mistake in the server, which we want to know of.
    """

    async def work(
        registry: client.Registry,
    ) -> tuple[client.NamespaceUsage, client.NamespaceUsage]:
        return await registry.recount_usage(namespace)

    counted, previous = session.run(chosen, work)
    document = {"usage": counted, "previous": previous, "differed": counted != previous}
    output.emit(document, form, lambda: _drawn(counted))
    verdict = "the counters were right" if counted == previous else "THE COUNTERS WERE WRONG"
    click.echo(safe_text.printable(verdict), err=True)


def _drawn(found: client.NamespaceUsage) -> rich_table.Table:
    stored = found.stored_bytes + found.reserved_bytes
    bytes_ = (
        ("stored", stored, found.stored_bytes_quota),
        ("logical", found.logical_bytes, found.logical_bytes_quota),
    )
    rows = [(what, units.size(used), units.size(most), used, most) for what, used, most in bytes_]
    used, most = found.open_uploads, found.open_uploads_quota
    rows.append(("uploads", f"{used:,}", f"{most:,}", used, most))
    cells = [
        (
            tables.cell(what, "bold"),
            tables.cell(used_text),
            tables.cell(most_text if most else "none"),
            tables.cell(f"{used * _PERCENT // most} %", _style(used, most))
            if most
            else tables.cell(""),
        )
        for what, used_text, most_text, used, most in rows
    ]
    return grid.of(("QUOTA", "USED", "LIMIT", "FULL"), cells, right={"USED", "LIMIT", "FULL"})


def _style(used: int, most: int) -> str:
    return "bold red" if used >= most else ""
