"""`modelkeep verify`."""

import contextlib
from collections.abc import Sequence

import click
from rich import console as rich_console

from modelkeep import client
from modelkeep.cli import failures, output, picking, progress, session, settings, tables, units


@click.command()
@click.argument("ref")
@output.option
@settings.connecting
@settings.pass_settings
def verify(chosen: settings.Settings, ref: str, form: str) -> None:
    """Have a version's stored bytes re-read.

    Each file is read from the store by its SHA-256 and CRC32C; nothing is sent here. The exit code
    is 1 if anything is not as it was pushed: the server then sets the versions that have it aside,
    and pushing the same files again repairs them.
    """

    async def work(registry: client.Registry) -> tuple[str, list[client.FileCheck]]:
        exact = await picking.exact(registry, ref)
        with contextlib.closing(progress.display()) as display:
            found = registry.verify_version(exact, listener=display.listener)
            return exact, sorted([check async for check in found], key=lambda check: check.path)

    exact, checks = session.run(chosen, work)
    wrong = [check for check in checks if not check.is_ok]
    document = {"version": exact.partition("@")[2], "ok": not wrong, "files": checks}
    output.emit(document, form, lambda: _drawing(exact, checks, wrong))
    if wrong:
        failures.report(
            f"{len(wrong)} of {units.count(len(checks), 'file')} of {exact} cannot be read as"
            " pushed; push the same files again to repair them."
        )
        raise click.exceptions.Exit(1)


def _drawing(
    exact: str, checks: Sequence[client.FileCheck], wrong: Sequence[client.FileCheck]
) -> rich_console.RenderableType:
    total = units.size(sum(check.size_bytes for check in checks))
    content = f"{units.count(len(checks), 'file')}, {total}"
    parts: list[rich_console.RenderableType] = [tables.checks(checks)]
    if not wrong:
        parts.append(f"[bold]{exact}[/] verified: {content}, every byte as it was pushed")
    return rich_console.Group(*parts)
