"""`modelkeep audit ...`."""

from datetime import datetime
from typing import IO

import click

from modelkeep import client
from modelkeep.cli import (
    audit_drawing,
    audit_proving,
    compliance,
    failures,
    output,
    session,
    settings,
    values,
)

_SHOWN = 50


@click.group()
def audit() -> None:
    """Tell who did what, and prove the record.

    Every change is told, and every attempt at one that was denied. NAMESPACE is one of yours, or
    _registry: what was denied before a namespace was known.
    """


def _since(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    del context, option
    return None if text is None else values.instant(text)


def _where(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, datetime | None]:
    del context, option
    if text is None or text.isdigit():
        return values.whole(text or "0"), None
    return 0, values.instant(text)


@audit.command("log")
@click.argument("namespace")
@click.option("--actor", default="", metavar="WHO", help="Only what they did or tried.")
@click.option("--action", multiple=True, metavar="GLOB", help="Only such as alias.*; repeat.")
@click.option("--model", default="", metavar="NAME[@VERSION]", help="Only about it: voice@1.2.0.")
@click.option("--resource", default="", metavar="NAME", help="Only about it and what is in it.")
@click.option("--since", callback=_since, metavar="TIME", help="Only from then on: 2026-11-24.")
@click.option("--until", callback=_since, metavar="TIME", help="Only before then.")
@click.option("--limit", type=click.IntRange(min=1), default=_SHOWN, show_default=True)
@output.option
@settings.connecting
@settings.pass_settings
def log(
    chosen: settings.Settings,
    /,
    *,
    namespace: str,
    actor: str,
    action: tuple[str, ...],
    model: str,
    resource: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    form: str,
) -> None:
    """List what was done and tried in NAMESPACE, the newest first."""
    wanted = resource or _resource_of(namespace, model)

    async def work(registry: client.Registry) -> tuple[list[client.AuditEvent], bool]:
        taken: list[client.AuditEvent] = []
        async for event in registry.list_audit_events(
            namespace, actor=actor, actions=action, resource=wanted, since=since, until=until
        ):
            if len(taken) == limit:
                return taken, True
            taken.append(event)
        return taken, False

    events, more = session.run(chosen, work)
    output.emit(events, form, lambda: audit_drawing.events(events))
    if more:
        click.echo(f"Only the newest {limit} are shown; raise --limit for more.", err=True)


def _resource_of(namespace: str, model: str) -> str:
    """The resource that `voice`, `acme/voice` or `voice@1.2.0` names."""
    name, _, version = model.rpartition("/")[2].partition("@")
    return "" if not name else f"namespaces/{namespace}/models/{name}" + (
        f"/versions/{version}" if version else ""
    )  # fmt: skip


@audit.command("verify")
@click.argument("namespace", required=False)
@click.option("--all", "everything", is_flag=True, help="Every chain there is.")
@click.option("--file", type=click.File("rb"), help="An export, without a server; - is stdin.")
@click.option(
    "--checkpoints",
    type=click.File("rb"),
    metavar="FILE",
    help="Checkpoints kept elsewhere, to be compared as well.",
)
@click.option("--key", "keys", multiple=True, metavar="BASE64", help="Trust only this; repeat.")
@output.option
@settings.connecting
@settings.pass_settings
def verify(
    chosen: settings.Settings,
    /,
    *,
    namespace: str | None,
    everything: bool,
    file: IO[bytes] | None,
    checkpoints: IO[bytes] | None,
    keys: tuple[str, ...],
    form: str,
) -> None:
    """Prove that no event of a chain was changed, removed, moved or inserted.

    The server recomputes the chain of NAMESPACE. With --file an export is verified here, without a
    server; with --key or --checkpoints the events come from the server and are verified here. The
    exit code is 1 if a chain is broken; the first event that does not fit is named.
    """
    if (namespace is not None) + everything + (file is not None) != 1:
        raise click.UsageError("Name a namespace, or --all, or --file FILE.")
    trust = audit_proving.Trust.read(keys, checkpoints)
    if file is not None:
        verdicts = [audit_proving.of_file(file, trust, chosen)]
    elif trust.is_stated and namespace is not None:
        verdicts = [audit_proving.of_export(chosen, namespace, trust)]
    else:
        if trust.is_stated:
            raise click.UsageError("--key and --checkpoints go with one NAMESPACE or --file.")
        verdicts = audit_proving.by_server(chosen, namespace)
    output.emit(
        [audit_drawing.document(one) for one in verdicts],
        form,
        lambda: audit_drawing.verdicts(verdicts),
    )
    broken = [one for one in verdicts if not one.is_intact]
    for one in broken:
        failures.report(audit_drawing.broken(one))
    if broken:
        raise click.exceptions.Exit(1)


@audit.command("export")
@click.argument("namespace")
@click.option(
    "--since",
    "where",
    callback=_where,
    metavar="SEQ|TIME",
    help="Only what came after this sequence, or from this time on.",
)
@settings.connecting
@settings.pass_settings
def export(chosen: settings.Settings, namespace: str, where: tuple[int, datetime | None]) -> None:
    """Write the chain of NAMESPACE as JSON Lines, which `audit verify --file` verifies.

    To go on later, append what came since: audit export acme --since 57 >> audit.jsonl.
    """
    after, since = where

    async def work(registry: client.Registry) -> None:
        async for line in registry.export_audit(namespace, after_sequence=after, since=since):
            click.echo(line)

    session.run(chosen, work)


@audit.command("checkpoints")
@click.argument("namespace")
@settings.connecting
@settings.pass_settings
def checkpoints(chosen: settings.Settings, namespace: str) -> None:
    """Write the signed checkpoints of NAMESPACE as JSON Lines, to be kept elsewhere."""

    async def work(registry: client.Registry) -> None:
        async for one in registry.list_audit_checkpoints(namespace):
            click.echo(one.line)

    session.run(chosen, work)


@audit.command("keys")
@output.option
@settings.connecting
@settings.pass_settings
def show_keys(chosen: settings.Settings, form: str) -> None:
    """List the public keys that the server signs checkpoints with."""

    async def work(registry: client.Registry) -> list[client.AuditKey]:
        return await registry.audit_keys()

    found = session.run(chosen, work)
    output.emit(found, form, lambda: audit_drawing.keys(found))
    if not found:
        click.echo(audit_drawing.NO_KEY, err=True)


audit.add_command(compliance.compliance)
