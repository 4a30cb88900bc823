"""`modelkeep alias set|rm|ls|protect|unprotect|protections`."""

import click

from modelkeep import client
from modelkeep.cli import output, picking, safe_text, session, settings, tables


@click.group()
def alias() -> None:
    """Set, remove, list and protect aliases.

    An alias is a movable name for one version of a model. As with `docker tag`, what exists comes
    first and the name second: modelkeep alias set acme/voice@1.2.0 champion.
    """


@alias.command("set")
@click.argument("ref")
@click.argument("name", metavar="ALIAS")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")
@click.option("--if-absent", is_flag=True, help="Refuse if the alias is set already.")
@click.option(
    "--expect",
    default="",
    metavar="VERSION|none",
    help="Refuse unless it points at this version now, or is not set.",
)
@output.option
@settings.connecting
@settings.pass_settings
def set_alias(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    name: str,
    reason: str,
    if_absent: bool,
    expect: str,
    form: str,
) -> None:
    """Point ALIAS at the version REF, creating or moving it.

    With --expect, nobody can move it between the look and the change: compare and set.
    """

    async def work(registry: client.Registry) -> client.Alias:
        version = await picking.exact(registry, ref)
        return await registry.set_alias(
            version, name, reason=reason, if_absent=if_absent, expect=expect
        )

    done = session.run(chosen, work)
    model = str(client.parse_ref(ref)).partition("@")[0]
    output.emit(
        done, form, lambda: f"[bold]{model}@{done.alias}[/] is now {tables.version_of(done)}"
    )


@alias.command("rm")
@click.argument("model")
@click.argument("name", metavar="ALIAS")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")
@click.option(
    "--expect", default="", metavar="VERSION", help="Refuse unless it points at this version now."
)
@settings.connecting
@settings.pass_settings
def remove_alias(
    chosen: settings.Settings, model: str, name: str, reason: str, expect: str
) -> None:
    """Remove ALIAS from MODEL; its history stays."""

    async def work(registry: client.Registry) -> None:
        await registry.delete_alias(model, name, reason=reason, expect=expect)

    session.run(chosen, work)
    click.echo(safe_text.printable(f"{model}@{name} removed"))


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


@alias.command()
@click.argument("where", metavar="NAMESPACE[/MODEL]")
@click.argument("pattern")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the history.")
@output.option
@settings.connecting
@settings.pass_settings
def protect(chosen: settings.Settings, where: str, pattern: str, reason: str, form: str) -> None:
    """Protect the aliases that PATTERN covers: champion, 'prod-*'.

    Setting, moving and removing a protected alias needs a right of its own, and a reason. In a
    namespace, the pattern is about the aliases of all its models.
    """

    async def work(registry: client.Registry) -> client.AliasProtection:
        return await registry.protect_aliases(where, pattern, reason=reason)

    done = session.run(chosen, work)
    output.emit(done, form, lambda: f"[bold]{where}[/] protects {done.pattern}")


@alias.command()
@click.argument("where", metavar="NAMESPACE[/MODEL]")
@click.argument("pattern")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the history.")
@settings.connecting
@settings.pass_settings
def unprotect(chosen: settings.Settings, where: str, pattern: str, reason: str) -> None:
    """Take back the protection PATTERN, as it was made there."""

    async def work(registry: client.Registry) -> None:
        await registry.unprotect_aliases(where, pattern, reason=reason)

    session.run(chosen, work)
    click.echo(safe_text.printable(f"{where} no longer protects {pattern}"))


@alias.command()
@click.argument("where", metavar="NAMESPACE[/MODEL]")
@output.option
@settings.connecting
@settings.pass_settings
def protections(chosen: settings.Settings, where: str, form: str) -> None:
    """List what is protected in a namespace, or in a model with that of its namespace."""

    async def work(registry: client.Registry) -> tuple[client.AliasProtection, ...]:
        return await registry.list_alias_protections(where)

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: tables.protections(entries))
