"""`modelkeep uploads ls|abort`."""

import click

from modelkeep import client
from modelkeep.cli import output, picking, session, settings, tables


@click.group()
def uploads() -> None:
    """List uploads and give them up.

    An upload that is cut stays open, so that the same push goes on where it stopped. Nobody needs
    to give one up: that happens by itself some days after it last got on.
    """


@uploads.command("ls")
@click.argument("namespace", required=False)
@click.option("--all", "every", is_flag=True, help="List what is over, too.")
@output.option
@settings.connecting
@settings.pass_settings
def list_uploads(chosen: settings.Settings, namespace: str | None, every: bool, form: str) -> None:
    """List the open uploads of NAMESPACE, or of all namespaces."""

    async def work(registry: client.Registry) -> list[client.Upload]:
        found: list[client.Upload] = []
        async for where in picking.namespaces(registry, namespace):
            listed = (
                registry.list_uploads(where, states=()) if every else registry.list_uploads(where)
            )
            found += [upload async for upload in listed]
        return found

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: tables.uploads(entries))


@uploads.command("abort")
@click.argument("name")
@output.option
@settings.connecting
@settings.pass_settings
def abort_upload(chosen: settings.Settings, name: str, form: str) -> None:
    """Give the upload NAME up and free what it stored.

    NAME is what `modelkeep uploads ls` shows: namespaces/acme/uploads/0123…
    """

    async def work(registry: client.Registry) -> client.Upload:
        return await registry.abort_upload(name)

    aborted = session.run(chosen, work)
    output.emit(aborted, form, lambda: f"[bold]{aborted.name}[/] given up")
