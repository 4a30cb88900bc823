"""`modelkeep verify`."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import click
from rich import console as rich_console

from modelkeep import client
from modelkeep.cli import (
    failures,
    output,
    picking,
    progress,
    session,
    settings,
    signature_checking,
    signer_options,
    tables,
    units,
)


@click.command()
@click.argument("ref", required=False)
@signer_options.options
@click.option("--trusted", is_flag=True, help="Has a signer whom the namespace trusts signed it?")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Verify this folder by --bundle, without a server.",
)
@click.option("--bundle", type=signer_options.READABLE, metavar="FILE", help="The signature.")
@output.option
@settings.connecting
@settings.pass_settings
def verify(
    chosen: settings.Settings,
    /,
    *,
    ref: str | None,
    key: Path | None,
    identity: str,
    issuer: str,
    roots: Path | None,
    log_key: Path | None,
    trusted: bool,
    directory: Path | None,
    bundle: Path | None,
    form: str,
) -> None:
    """Have stored bytes re-read, or signatures verified.

    Without options each file is read from the store by its SHA-256 and CRC32C; nothing is sent
    here. The exit code is 1 if anything is not as it was pushed: the server then sets the versions
    that have it aside, and pushing the same files again repairs them.

    With --trusted the server tells whether somebody whom the namespace trusts signed the version.
    With --key, or --identity and --roots, its signatures are verified here, by these alone. With
    --dir and --bundle a folder is, and no server is asked. Stored bytes are not read then. The
    exit code is 1 if no signature is good.
    """
    proof = signer_options.proof(key, identity, issuer, roots, log_key)
    _require_one_way(ref, proof, trusted=trusted, directory=directory, bundle=bundle)
    if directory and bundle and proof:
        signature_checking.folder(chosen, directory, bundle, proof, form)
    elif ref and trusted:
        signature_checking.by_server(chosen, ref, form)
    elif ref and proof:
        signature_checking.here(chosen, ref, proof, form)
    elif ref:
        _reread(chosen, ref, form)


def _require_one_way(
    ref: str | None,
    proof: client.SignerProof | None,
    *,
    trusted: bool,
    directory: Path | None,
    bundle: Path | None,
) -> None:
    if (ref is None) == (directory is None):
        raise click.UsageError("Name a version, or --dir DIR.")
    if (directory is None) != (bundle is None):
        raise click.UsageError("--dir and --bundle go together.")
    if directory and proof is None:
        raise click.UsageError("Say whose signature it should be: --key FILE, or --identity ID.")
    if trusted and (proof or directory):
        raise click.UsageError("--trusted asks the server, and goes without other signers.")


def _reread(chosen: settings.Settings, ref: str, form: str) -> None:
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
