"""The option that tells which way the bytes of large files go."""

import click

from modelkeep import client

option = click.option(
    "--via",
    type=click.Choice([way.value for way in client.Via]),
    default=client.Via.AUTO.value,
    show_default=True,
    help="Which way large files go: straight to or from the store, or through the server.",
)
