"""`modelkeep cat`."""

import sys

import click

from modelkeep import client
from modelkeep.cli import allocator, session, settings


@click.command()
@click.argument("ref")
@click.argument("path")
@click.option(
    "--offset", type=click.IntRange(min=0), default=0, metavar="N", help="Begin at byte N."
)
@click.option("--length", type=click.IntRange(min=0), metavar="N", help="Stop after N bytes.")
@settings.connecting
@settings.pass_settings
def cat(chosen: settings.Settings, ref: str, path: str, offset: int, length: int | None) -> None:
    """Write out one file, or some of its bytes.

    Every block is checked before it is written to standard output; a whole file is checked by its
    digest at the end, too: if that fails, the exit code is 1, and what was written is not the file.
    """
    allocator.tune()

    async def work(registry: client.Registry) -> None:
        async for block in registry.stream_file(ref, path, offset=offset, length=length):
            # Blocking the loop is the back-pressure: nothing else runs on it.
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()

    session.run(chosen, work)
