"""`modelkeep alias set|rm|ls`."""

import click

from modelkeep import client
from modelkeep.cli import output, picking, session, settings, tables


@click.group()
def alias() -> None:
    """Set, remove and list aliases.

    An alias is a movable name for one version of a model. As with `docker tag`, what exists comes
    first and the name second: modelkeep alias set acme/voice@1.2.0 champion.
    """


@alias.command("set")
@click.argument("ref")
@click.argument("name", metavar="ALIAS")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")
@click.option("--if-absent", is_flag=True, help="Refuse if the alias is set already.")
@output.option
@settings.connecting
@settings.pass_settings
def set_alias(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings, ref: str, name: str, reason: str, if_absent: bool, form: str
) -> None:
    """Point ALIAS at the version REF, creating or moving it."""

    async def work(registry: client.Registry) -> client.Alias:
        version = await picking.exact(registry, ref)
        return await registry.set_alias(version, name, reason=reason, if_absent=if_absent)

    done = session.run(chosen, work)
    model = str(client.parse_ref(ref)).partition("@")[0]
    output.emit(
        done, form, lambda: f"[bold]{model}@{done.alias}[/] is now {tables.version_of(done)}"
    )


@alias.command("rm")
@click.argument("model")
@click.argument("name", metavar="ALIAS")
@settings.connecting
@settings.pass_settings
def remove_alias(chosen: settings.Settings, model: str, name: str) -> None:
    """Remove ALIAS from MODEL; its history stays."""

    async def work(registry: client.Registry) -> None:
        await registry.delete_alias(model, name)

    session.run(chosen, work)
    click.echo(f"{model}@{name} removed")


@alias.command("ls")
@click.argument("model")
@output.option
@settings.connecting
@settings.pass_settings
def list_aliases(chosen: settings.Settings, model: str, form: str) -> None:
    """List the aliases of MODEL."""

    async def work(registry: client.Registry) -> list[client.Alias]:
        return [entry async for entry in registry.list_aliases(model)]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: tables.aliases(entries))
