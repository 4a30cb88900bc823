"""`modelkeep doctor store`."""

import asyncio
import os
from typing import TYPE_CHECKING

import click
from rich import console as rich_console

from modelkeep import config
from modelkeep.cli import extras, grid, output, tables

if TYPE_CHECKING:
    from modelkeep import app

_STYLES = {"ok": "green", "optional": "yellow", "missing": "bold red", "wrong": "bold red"}


@click.group()
def doctor() -> None:
    """Check the S3 store a server is to use."""


@doctor.command("store")
@output.option
def examine_store(form: str) -> None:
    """Check the S3 store of the MODELKEEP_S3_ variables for what we need of it.

    Writes and reads below a key prefix of its own, doctor/, and removes all of it. Verdicts: ok;
    missing, the store cannot do it; wrong, it does something else; optional, it cannot do it and
    nothing depends on that. The exit code is 0 if everything required is there, otherwise 1.
    """
    with extras.plain_failures():
        chosen = config.without_database(os.environ)
        from modelkeep import app  # noqa: PLC0415 - an extra

        found = asyncio.run(app.examine_store(chosen))
    failed = sum(not finding.is_acceptable for finding in found)
    document = {
        "endpoint": chosen.s3_endpoint,
        "bucket": chosen.s3_bucket,
        "is_usable": not failed,
        "checks": found,
    }
    output.emit(document, form, lambda: _drawn(found, failed))
    if failed:
        raise click.exceptions.Exit(1)


def _drawn(found: "list[app.Finding]", failed: int) -> object:
    rows = [
        (
            tables.cell(finding.check, "bold"),
            tables.cell(finding.verdict, _STYLES[finding.verdict]),
            tables.cell(finding.meaning),
            tables.cell(finding.advice),
        )
        for finding in found
    ]
    table = grid.of(("CHECK", "VERDICT", "MEANING", "WHAT TO DO"), rows)
    verdict = f"this store cannot be used: {failed} of the checks failed"
    return rich_console.Group(table, verdict if failed else "this store has all that is needed")
