"""`modelkeep sign`."""

import sys
from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import output, picking, session, settings, signature_tables, signer_options


@click.command()
@click.argument("ref")
@click.option("--key", type=signer_options.READABLE, metavar="FILE", help="Private key, in PEM.")
@click.option("--password-stdin", is_flag=True, help="Read the key's password from stdin.")
@click.option(
    "--bundle",
    type=signer_options.READABLE,
    metavar="FILE",
    help="Attach this signature, made by model_signing for example.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the signature to this file too.",
)
@output.option
@settings.connecting
@settings.pass_settings
def sign(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    key: Path | None,
    password_stdin: bool,
    bundle: Path | None,
    save: Path | None,
    form: str,
) -> None:
    """Sign a version; the key stays here.

    What is signed is the list of a sealed version's files with their SHA-256, in the format of the
    OpenSSF's model signing. Keys are EC P-256, P-384, P-521 or Ed25519. With --bundle a signature
    that was made elsewhere is attached.
    """
    if (key is None) == (bundle is None):
        raise click.UsageError("Say either --key FILE, to sign, or --bundle FILE, to attach.")
    if password_stdin and key is None:
        raise click.UsageError("--password-stdin goes with --key.")
    content = (bundle or key or Path()).read_bytes()
    password = sys.stdin.buffer.readline().rstrip(b"\r\n") if password_stdin else None

    async def work(registry: client.Registry) -> tuple[client.Signature, bytes]:
        exact = await picking.exact(registry, ref)
        if bundle is not None:
            return await registry.attach_signature(exact, content), content
        return await registry.sign_version(exact, content, password=password)

    attached, made = session.run(chosen, work)
    if save is not None:
        save.write_bytes(made)
    output.emit(attached, form, lambda: signature_tables.signatures([attached]))
