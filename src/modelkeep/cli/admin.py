"""`modelkeep admin init`."""

import asyncio
import os

import click

from modelkeep import config
from modelkeep.cli import extras


@click.group()
def admin() -> None:
    """Make the first administrator, by the database alone."""


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
