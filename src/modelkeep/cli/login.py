"""`modelkeep login`, `logout`, `whoami` and `can`."""

import dataclasses
import os
import sys

import click

from modelkeep import client
from modelkeep.cli import access_tables, credentials, failures, output, safe_text, session, settings
from modelkeep.client import logins


@click.command()
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@settings.connecting
@settings.pass_settings
def login(chosen: settings.Settings, token_stdin: bool) -> None:
    """Keep a token for the server, once the server has taken it.

    It is kept in a file that only you can read, and goes to no other server.
    """
    text = sys.stdin.readline() if token_stdin else click.prompt("Token", hide_input=True)
    given = text.strip()
    if not given:
        raise click.UsageError("there is no token on standard input")

    def show() -> client.Credentials:
        return dataclasses.replace(credentials.chosen_by(chosen), token=given)

    who = session.run_with(chosen, show, client.Registry.who_am_i)
    path = logins.keep(chosen.endpoint, given, os.environ)
    told = f"logged in to {chosen.endpoint} as {who.principal}; the token is in {path}"
    click.echo(safe_text.printable(told))


@click.command()
@settings.connecting
@settings.pass_settings
def logout(chosen: settings.Settings) -> None:
    """Forget the token for the server.

    It goes on working until it is revoked.
    """
    try:
        was_there = logins.forget(chosen.endpoint, os.environ)
    except client.RegistryError as error:
        raise failures.from_error(error, chosen) from error
    done = f"logged out of {chosen.endpoint}"
    click.echo(done if was_there else f"no token was kept for {chosen.endpoint}")


@click.command()
@output.option
@settings.connecting
@settings.pass_settings
def whoami(chosen: settings.Settings, form: str) -> None:
    """Tell who the server takes you for."""
    who = session.run(chosen, client.Registry.who_am_i)
    output.emit(who, form, lambda: access_tables.identity(who))


@click.command()
@click.argument("action")
@click.argument("resource", default="")
@click.option("--stage", default="", metavar="STAGE", help="To which stage something would move.")
@click.option("--alias", default="", metavar="ALIAS", help="Which alias would be changed.")
@settings.connecting
@settings.pass_settings
def can(chosen: settings.Settings, action: str, resource: str, stage: str, alias: str) -> None:
    """Tell whether you may do something.

    The exit code is 0 if you may do ACTION on RESOURCE, otherwise 4. ACTION is what errors name,
    version.create for example; docs/access.md has them all. Without RESOURCE the registry as a
    whole is meant.
    """

    async def work(registry: client.Registry) -> frozenset[str]:
        return await registry.test_permissions([action], resource, stage=stage, alias=alias)

    allowed = action in session.run(chosen, work)
    click.echo("yes" if allowed else "no")
    if not allowed:
        raise click.exceptions.Exit(failures.REFUSED)
