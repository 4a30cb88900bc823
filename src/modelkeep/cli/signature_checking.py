"""What `modelkeep verify` does about signatures: asks the server, or verifies here."""

import asyncio
import contextlib
from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import (
    failures,
    output,
    picking,
    progress,
    references,
    session,
    settings,
    signature_tables,
)


def by_server(chosen: settings.Settings, ref: str, form: str) -> None:
    """Show the server's verdict on a version; exit code 1 unless it is trusted."""

    async def work(registry: client.Registry) -> client.SignatureVerdict:
        return await registry.signature_verdict(await picking.exact(registry, ref))

    verdict = session.run(chosen, work)
    document = {"ok": verdict.is_trusted, **output.plain(verdict)}
    output.emit(document, form, lambda: signature_tables.verdict(verdict))
    if not verdict.is_trusted:
        failures.report(references.shown_in(verdict.sentence))
        raise click.exceptions.Exit(1)


def here(chosen: settings.Settings, ref: str, proof: client.SignerProof, form: str) -> None:
    """Verify here that somebody signed a version; the server's opinion is not asked."""

    async def work(registry: client.Registry) -> tuple[str, client.CheckedSignature]:
        exact = await picking.exact(registry, ref)
        return exact, await registry.check_signatures(exact, proof)

    exact, checked = session.run(chosen, work)
    _tell(exact, checked, form)


def folder(
    chosen: settings.Settings,
    directory: Path,
    bundle: Path,
    proof: client.SignerProof,
    form: str,
) -> None:
    """Verify a folder by a signature, without a registry."""

    async def work() -> client.CheckedSignature:
        with contextlib.closing(progress.display()) as display:
            return await client.check_folder(directory, bundle, proof, display.listener)

    try:
        checked = asyncio.run(work())
    except client.RegistryError as error:
        raise failures.from_error(error, chosen) from error
    _tell(str(directory), checked, form)


def _tell(what: str, checked: client.CheckedSignature, form: str) -> None:
    document = {"ok": True, "verified": what, **output.plain(checked)}
    output.emit(document, form, lambda: signature_tables.checked(what, checked))
