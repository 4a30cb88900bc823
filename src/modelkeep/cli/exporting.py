"""`modelkeep export`."""

import contextlib
from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import exchange_tables, output, progress, session, settings


@click.command()
@click.argument("ref")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@output.option
@settings.connecting
@settings.pass_settings
def export(chosen: settings.Settings, ref: str, file: Path, form: str) -> None:
    """Write versions into one file.

    REF is acme/voice@1.2.0, or acme/voice for all that can be read. FILE is a plain tar that
    another registry can import; it has its name only when it is whole, was read back and compared.
    """

    async def work(registry: client.Registry) -> client.ExportReport:
        with contextlib.closing(progress.display()) as display:
            return await registry.export_bundle(ref, file, listener=display.listener)

    report = session.run(chosen, work)
    output.emit(exchange_tables.document(report), form, lambda: exchange_tables.exported(report))
    if not report.is_ok:
        raise click.exceptions.Exit(1)
