"""The commands that run a server: `dev`, `serve` and `migrate`.

What they need comes with the extras, so it is imported only inside them: the client's command line
works without.
"""

import asyncio
import dataclasses
import os
import sys
from pathlib import Path

import click

from modelkeep import allocator, config
from modelkeep.cli import extras, own_admin

_MOST_WORKERS = 128


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory that holds everything.  [default: ~/.local/share/modelkeep]",
)
@click.option(
    "--listen",
    envvar="MODELKEEP_LISTEN",
    default=config.DEFAULT_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the server answers; port 0 takes a free one.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say what happens.")
@click.pass_context
def dev(context: click.Context, data: Path | None, listen: str, verbose: bool) -> None:
    """Run a whole registry here: Postgres, S3 and the server, until Ctrl-C."""
    with extras.plain_failures():
        from modelkeep.local import dev as tree  # noqa: PLC0415 - an extra
        from modelkeep.local import errors  # noqa: PLC0415

        verbose = verbose or bool(context.obj and context.obj.verbose)
        try:
            tree.run(data, listen, os.environ, verbose=verbose)
        except errors.LocalError as error:
            raise click.ClickException(str(error)) from None


@click.command()
@click.option("--migrate", "migrate_first", is_flag=True, help="Apply database migrations first.")
@click.option(
    "--admin-token",
    "token_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make whoever runs this an administrator, and keep a token of theirs in this file.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, _MOST_WORKERS),
    help="Server processes behind the address, each with a core.  [default: MODELKEEP_WORKERS, 1]",
)
@click.option("--worker", type=int, hidden=True, help="The number of a worker, which we start.")
def serve(
    migrate_first: bool, token_file: Path | None, workers: int | None, worker: int | None
) -> None:
    """Run the server on the Postgres and S3 store of the MODELKEEP_ variables."""
    with extras.plain_failures():
        chosen = config.from_environ(os.environ)
        if workers is not None:
            chosen = dataclasses.replace(chosen, workers=workers)
        if chosen.workers == 1:
            allocator.ensure(os.environ)
        from modelkeep import log  # noqa: PLC0415 - an extra

        log.configure(chosen.log_level, chosen.log_format, worker)
        asyncio.run(_serve(chosen, token_file, migrate_first=migrate_first, worker=worker))


@click.command()
def migrate() -> None:
    """Apply database migrations to the Postgres of MODELKEEP_DATABASE_URL."""
    with extras.plain_failures():
        database_url = config.database_url(os.environ)
        from modelkeep import app  # noqa: PLC0415 - an extra

        applied = asyncio.run(app.migrate(database_url))
        for name in applied:
            click.echo(f"applied {name}")
        if not applied:
            click.echo("nothing to apply")


async def _serve(
    chosen: config.Config, token_file: Path | None, *, migrate_first: bool, worker: int | None
) -> None:
    from modelkeep import app  # noqa: PLC0415 - an extra

    if migrate_first:
        await app.migrate(chosen.database_url)
    if token_file is not None:
        await own_admin.keep_token(token_file, chosen.database_url)
    if chosen.workers == 1:
        is_worker = worker is not None
        await app.serve(chosen, _announce, _announce_admin, is_worker=is_worker)
    else:
        await _supervise(chosen)


async def _supervise(chosen: config.Config) -> None:
    from modelkeep.workers import supervising  # noqa: PLC0415 - an extra

    try:
        await supervising.supervise(chosen, os.environ, _announce, _announce_admin)
    except supervising.EndedEarly as failure:  # it has said why
        sys.exit(failure.exit_code or 1)


def _announce(endpoint: str) -> None:
    print(f"modelkeep ready on {endpoint}", flush=True)  # `modelkeep dev` waits for this line


def _announce_admin(endpoint: str) -> None:
    print(f"modelkeep admin on http://{endpoint}/ (metrics, healthz, readyz)", flush=True)
