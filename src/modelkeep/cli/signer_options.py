"""Options that say whose signatures are meant: a key, or an identity and who vouches for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from modelkeep import client

_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)
READABLE = click.Path(path_type=Path, exists=True, dir_okay=False)
_OPTIONS = (
    click.option("--key", type=READABLE, metavar="FILE", help="Their public key, in PEM."),
    click.option("--identity", default="", metavar="ID", help="Whom their certificate names."),
    click.option("--issuer", default="", metavar="URL", help="Who vouched for that identity."),
    click.option("--roots", type=READABLE, metavar="FILE", help="The authorities, in PEM."),
    click.option(
        "--log-key", type=READABLE, metavar="FILE", help="Key of a transparency log, in PEM."
    ),
)


def options(command: _Command) -> _Command:
    """Give a verb the options that `proof` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def proof(
    key: Path | None, identity: str, issuer: str, roots: Path | None, log_key: Path | None
) -> client.SignerProof | None:
    """Whose signatures are meant; None if nothing was said.

    Raises:
        click.UsageError: the options do not go together.
    """
    certified = bool(identity or issuer or roots or log_key)
    if key is None and not certified:
        return None
    if key is not None and certified:
        raise click.UsageError("--key goes without --identity, --issuer, --roots and --log-key.")
    if key is not None:
        return client.SignerProof(public_key=text_of(key))
    if not identity or roots is None:
        raise click.UsageError("--identity needs --roots, the authorities that vouch for it.")
    return client.SignerProof(
        identity=identity,
        issuer=issuer,
        roots=text_of(roots),
        log_key=text_of(log_key) if log_key else "",
    )


def text_of(file: Path) -> str:
    """The text of a PEM file, or click.BadParameter."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise click.BadParameter(f"{file} is not a text, so it is not PEM.") from None
