"""`modelkeep role grant|ls|revoke`."""

import click

from modelkeep import client
from modelkeep.cli import access_tables, output, safe_text, session, settings


@click.group()
def role() -> None:
    """Say who may do what.

    WHO is user:NAME, service:NAME or group:NAME. PLACE is a namespace (acme) or a model
    (acme/voice); without one, the registry as a whole is meant.
    """


@role.command("grant")
@click.argument("who")
@click.argument("name", metavar="ROLE", type=click.Choice([one.value for one in client.Role]))
@click.argument("place", default="")
@click.option("--stage", default="", metavar="STAGE", help="Only for moves to this stage.")
@click.option("--alias", default="", metavar="ALIAS", help="Only for changes of this alias.")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@output.option
@settings.connecting
@settings.pass_settings
def grant(
    chosen: settings.Settings,
    /,
    *,
    who: str,
    name: str,
    place: str,
    stage: str,
    alias: str,
    reason: str,
    form: str,
) -> None:
    """Give WHO a role: reader, contributor, approver, deployer, admin or auditor."""
    given = client.RoleGrant(client.Role(name), place, stage, alias)

    async def work(registry: client.Registry) -> client.RoleBinding:
        return await registry.grant_role(who, given, reason=reason)

    made = session.run(chosen, work)
    output.emit(made, form, lambda: f"{made.principal} is {made.grant} ({made.binding_id})")


@role.command("ls")
@click.argument("place", default="")
@click.option("--of", "principal", default="", metavar="WHO", help="Only of this one.")
@output.option
@settings.connecting
@settings.pass_settings
def list_roles(chosen: settings.Settings, place: str, principal: str, form: str) -> None:
    """List who has which role in PLACE and in what is in it, or anywhere."""

    async def work(registry: client.Registry) -> list[client.RoleBinding]:
        return [entry async for entry in registry.list_roles(place, principal=principal)]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: access_tables.roles(entries))


@role.command("revoke")
@click.argument("binding_id", metavar="ID")
@settings.connecting
@settings.pass_settings
def revoke(chosen: settings.Settings, binding_id: str) -> None:
    """Take a role away; ID is what `role ls` shows."""

    async def work(registry: client.Registry) -> client.RoleBinding:
        return await registry.revoke_role(binding_id)

    taken = session.run(chosen, work)
    click.echo(safe_text.printable(f"{taken.principal} is no longer {taken.grant}"))
