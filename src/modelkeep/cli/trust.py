"""`modelkeep trust add|ls|rm`."""

from datetime import datetime
from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import output, session, settings, signature_tables, signer_options, values


def _instant(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    del context, option
    return None if text is None else values.instant(text)


@click.group()
def trust() -> None:
    """Say whose signatures count in a namespace.

    A signer is a public key, or an identity in a certificate with the authorities that vouch for
    it. Signatures are judged by what is trusted when somebody asks, and by when they were there.
    """


@trust.command("add")
@click.argument("namespace")
@click.argument("signer")
@signer_options.options
@click.option("--from", "begins", callback=_instant, metavar="TIME", help="Only signatures since.")
@click.option("--until", "ends", callback=_instant, metavar="TIME", help="Only those up to then.")
@click.option("--description", default="", metavar="TEXT", help="For people.")
@output.option
@settings.connecting
@settings.pass_settings
def add(
    chosen: settings.Settings,
    /,
    *,
    namespace: str,
    signer: str,
    key: Path | None,
    identity: str,
    issuer: str,
    roots: Path | None,
    log_key: Path | None,
    begins: datetime | None,
    ends: datetime | None,
    description: str,
    form: str,
) -> None:
    """Trust SIGNER, a name of your choice, in NAMESPACE."""
    proof = signer_options.proof(key, identity, issuer, roots, log_key)
    if proof is None:
        raise click.UsageError("Say how the signer is known: --key FILE, or --identity ID.")

    async def work(registry: client.Registry) -> client.TrustedSigner:
        return await registry.trust_signer(
            namespace, signer, proof, not_before=begins, not_after=ends, description=description
        )

    added = session.run(chosen, work)
    output.emit(added, form, lambda: signature_tables.signers([added]))


@trust.command("ls")
@click.argument("namespace")
@click.option("--revoked", is_flag=True, help="List those that were revoked, too.")
@output.option
@settings.connecting
@settings.pass_settings
def list_signers(chosen: settings.Settings, namespace: str, revoked: bool, form: str) -> None:
    """List whom NAMESPACE trusts."""

    async def work(registry: client.Registry) -> list[client.TrustedSigner]:
        found = registry.list_trusted_signers(namespace, show_revoked=revoked)
        return [entry async for entry in found]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: signature_tables.signers(entries))


@trust.command("rm")
@click.argument("namespace")
@click.argument("signer")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept for ever.")
@click.option(
    "--since",
    callback=_instant,
    metavar="TIME",
    help="Signatures that were there before then still count; without it none does.",
)
@output.option
@settings.connecting
@settings.pass_settings
def remove(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings,
    namespace: str,
    signer: str,
    reason: str,
    since: datetime | None,
    form: str,
) -> None:
    """Revoke SIGNER in NAMESPACE, for good."""

    async def work(registry: client.Registry) -> client.TrustedSigner:
        return await registry.revoke_signer(namespace, signer, reason=reason, distrust_from=since)

    revoked = session.run(chosen, work)
    output.emit(revoked, form, lambda: signature_tables.signers([revoked]))
