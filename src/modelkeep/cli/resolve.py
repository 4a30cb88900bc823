"""`modelkeep resolve`."""

import click

from modelkeep import client
from modelkeep.cli import output, session, settings, tables, values


@click.command()
@click.argument("ref")
@click.option("--at", "at", metavar="TIME", help="What REF meant then (ISO 8601, UTC).")
@output.option
@settings.connecting
@settings.pass_settings
def resolve(chosen: settings.Settings, ref: str, at: str | None, form: str) -> None:
    """Tell which version a reference means.

    For example acme/voice@production, acme/voice@^2.1, acme/voice@champion or acme/voice.
    """
    as_of = values.instant(at) if at else None

    async def work(registry: client.Registry) -> client.Version:
        return await registry.resolve(ref, as_of=as_of)

    found = session.run(chosen, work)
    document = {
        "name": found.name,
        "version": found.version,
        "ordinal": found.ordinal,
        "manifest_digest": found.manifest_digest,
        "stage": found.stage,
    }
    output.emit(document, form, lambda: _drawn(found))


def _drawn(found: client.Version) -> object:
    return tables.pairs(
        [
            ("version", tables.cell(found.ref, "bold")),
            ("ordinal", f"#{found.ordinal}"),
            ("stage", tables.stage(found.stage)),
            ("digest", found.manifest_digest),
        ]
    )
