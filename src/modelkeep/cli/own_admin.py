"""The token with which a user administers the registry that they run themselves."""

import getpass
import os
import re
from collections.abc import Mapping
from pathlib import Path

import click

from modelkeep import own_files

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_NAMELESS = "local"


async def keep_token(path: Path, database_url: str) -> None:
    """Have the file hold a token that works; a new one only if the present one does not.

    Raises:
        click.ClickException: others can read the file.
        config.CannotServe: the database cannot be had.
    """
    from modelkeep import app  # noqa: PLC0415 - an extra

    try:
        present = own_files.read_private(path).strip()
    except own_files.Exposed as exposed:
        raise click.ClickException(str(exposed)) from exposed
    token = await app.keep_local_admin(database_url, principal_of(os.environ), present)
    if token != present:
        own_files.write_private(path, f"{token}\n")


def principal_of(environ: Mapping[str, str]) -> str:
    """`user:NAME` of whoever runs us."""
    name = environ.get("LOGNAME") or environ.get("USER") or _login_name()
    return f"user:{_UNFIT.sub('-', name).strip('.-_') or _NAMELESS}"


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id that nobody has named, as in many containers
        return _NAMELESS
