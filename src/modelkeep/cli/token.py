"""`modelkeep token create|ls|revoke|print`."""

from datetime import datetime

import click

from modelkeep import client
from modelkeep.cli import (
    access_options,
    access_tables,
    credentials,
    failures,
    output,
    safe_text,
    session,
    settings,
)


@click.group()
def token() -> None:
    """Make API tokens, list and revoke them."""


@token.command("create")
@click.option(
    "--for", "principal", default="", metavar="WHO", help="user:NAME or service:NAME; else yours."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    callback=access_options.scopes,
    metavar="ROLE[@PLACE]",
    help="What it is limited to: reader, contributor@acme, deployer@acme/voice. May be repeated.",
)
@click.option(
    "--group", "groups", multiple=True, metavar="group:NAME", help="Whose roles it has as well."
)
@click.option(
    "--expires",
    "expires_at",
    callback=access_options.expiry,
    metavar="SPAN",
    help="After how long it ends: 12h, 90d, 1y. Else never.",
)
@click.option("--description", default="", metavar="TEXT", help="What for.")
@output.option
@settings.connecting
@settings.pass_settings
def create(
    chosen: settings.Settings,
    /,
    *,
    principal: str,
    scopes: tuple[client.RoleGrant, ...],
    groups: tuple[str, ...],
    expires_at: datetime | None,
    description: str,
    form: str,
) -> None:
    """Make a token and print its text, once."""

    async def work(registry: client.Registry) -> client.NewToken:
        return await registry.create_token(
            principal,
            description=description,
            groups=groups,
            scopes=scopes,
            expires_at=expires_at,
        )

    made = session.run(chosen, work)
    output.emit(made, form, lambda: access_tables.issued(made))


@token.command("ls")
@click.option("--for", "principal", default="", metavar="WHO", help="Whose; else yours.")
@click.option("--all", "everybody", is_flag=True, help="Everybody's.")
@output.option
@settings.connecting
@settings.pass_settings
def list_tokens(chosen: settings.Settings, principal: str, everybody: bool, form: str) -> None:
    """List tokens, without their texts."""
    whose = client.EVERYBODY if everybody else principal

    async def work(registry: client.Registry) -> list[client.AccessToken]:
        return [entry async for entry in registry.list_tokens(whose)]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: access_tables.tokens(entries))


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@settings.connecting
@settings.pass_settings
def revoke(chosen: settings.Settings, token_id: str) -> None:
    """End a token for good; ID is what `token ls` shows."""

    async def work(registry: client.Registry) -> client.AccessToken:
        return await registry.revoke_token(token_id)

    ended = session.run(chosen, work)
    click.echo(safe_text.printable(f"revoked {ended.token_id} of {ended.principal}"))


@token.command("print")
@settings.connecting
@settings.pass_settings
def print_token(chosen: settings.Settings) -> None:
    """Print the token that commands show this server, for other programs to use."""
    try:
        found = credentials.token_for(chosen)
        text = found() if callable(found) else found
    except client.RegistryError as error:
        raise failures.from_error(error, chosen) from error
    if not text:
        raise click.ClickException(
            f"there is no token for {chosen.endpoint}; `modelkeep login` keeps one"
        )
    click.echo(text)
