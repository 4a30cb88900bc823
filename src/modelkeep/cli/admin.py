"""`modelkeep admin ...`."""

import asyncio
import os

import click

from modelkeep import config
from modelkeep.cli import extras, failures, output, units


@click.group()
def admin() -> None:
    """Make the first administrator; change the key of secrets."""


@admin.command("init")
@click.argument("who")
@click.option(
    "--break-glass",
    is_flag=True,
    help="Make one even beside others, because all of these are lost. It is audited.",
)
def init(who: str, break_glass: bool) -> None:
    """Make WHO (user:NAME) the administrator of the registry; prints a token, once.

    Speaks to the Postgres of MODELKEEP_DATABASE_URL, and needs no server.
    """
    with extras.plain_failures():
        database_url = config.database_url(os.environ)
        from modelkeep import app  # noqa: PLC0415 - an extra

        text = asyncio.run(app.make_admin(database_url, who, break_glass=break_glass))
    click.echo(text)
    click.echo(
        f"{who} is an administrator; keep this token now, it is not shown again. "
        "`modelkeep login` takes it.",
        err=True,
    )


@admin.command("reseal-webhooks")
@output.option
def reseal_webhooks(form: str) -> None:
    """Encrypt all webhooks' secrets anew with the first key of MODELKEEP_SECRET_KEY.

    Speaks to the Postgres of MODELKEEP_DATABASE_URL, beside running servers or without one, and may
    be interrupted and run again. Afterwards the other keys can go. The exit code is 1 if there are
    secrets that none of the keys opens.
    """
    with extras.plain_failures():
        database_url = config.database_url(os.environ)
        keys = config.keys_of_secrets(os.environ)
        from modelkeep import app  # noqa: PLC0415 - an extra

        done = asyncio.run(app.reseal_webhooks(database_url, keys))
    unreadable = [f"{name.namespace}/{name.webhook}" for name in done.unreadable]
    document = {"webhooks": done.webhooks, "resealed": done.changed, "unreadable": unreadable}
    said = f"{done.changed} of {units.count(done.webhooks, 'webhook')} sealed with the new key"
    output.emit(document, form, lambda: said)
    if unreadable:
        failures.report(
            f"None of the keys opens the secrets of {', '.join(unreadable)}. Add theirs to"
            " MODELKEEP_SECRET_KEY and run this again, or rotate these secrets."
        )
        raise click.exceptions.Exit(1)
