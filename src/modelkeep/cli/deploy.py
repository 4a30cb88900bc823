"""`modelkeep deploy ...`."""

from typing import Any

import click

from modelkeep import client
from modelkeep.cli import (
    deployment_tables,
    output,
    picking,
    safe_text,
    session,
    settings,
    tables,
    values,
)

_ENDS = ("succeeded", "failed", "superseded", "rolled_back")


@click.group()
def deploy() -> None:
    """Record where versions run; what ran when.

    ID is what `deploy ls` shows: acme/voice/0123456789abcdef.
    """


@deploy.command("record")
@click.argument("ref")
@click.option("--env", "environment", required=True, metavar="NAME", help="Where: prod.")
@click.option("--target", default="", help="Where exactly: an address or a cluster.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")
@click.option("--since", default="", metavar="TIME", help="Since when; now by default.")
@output.option
@settings.connecting
@settings.pass_settings
def record(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    environment: str,
    labels: tuple[str, ...],
    since: str,
    form: str,
    **stated: str,
) -> None:
    """Record that REF runs; what ran there of the model is superseded."""
    begun = values.instant(since) if since else None
    pairs = values.pairs("--label", labels, str)

    async def work(registry: client.Registry) -> client.RecordedDeployment:
        version = await picking.exact(registry, ref)
        return await registry.record_deployment(
            version, environment, labels=pairs, started_at=begun, **stated
        )

    recorded = session.run(chosen, work)
    output.emit(recorded, form, lambda: deployment_tables.shown(recorded.deployment))
    if recorded.superseded and form == "table":
        click.echo(safe_text.printable(f"{recorded.superseded} is superseded."), err=True)


@deploy.command("end")
@click.argument("name", metavar="ID")
@click.option("--outcome", required=True, type=click.Choice(_ENDS), help="How it ended.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the history.")
@click.option("--at", "ended", default="", metavar="TIME", help="When; now by default.")
@output.option
@settings.connecting
@settings.pass_settings
def end(
    chosen: settings.Settings, /, *, name: str, outcome: str, reason: str, ended: str, form: str
) -> None:
    """Record how the deployment ID ended."""
    at = values.instant(ended) if ended else None
    how = client.DeploymentOutcome(outcome)

    async def work(registry: client.Registry) -> client.Deployment:
        return await registry.end_deployment(name, how, reason=reason, ended_at=at)

    closed = session.run(chosen, work)
    output.emit(closed, form, lambda: deployment_tables.shown(closed))


@deploy.command("ls")
@click.argument("where", metavar="NAMESPACE[/MODEL]")
@click.option("--env", "environment", default="", metavar="NAME", help="Only there.")
@click.option("--version", default="", metavar="VERSION", help="Only of it: 1.2.0.")
@click.option("--running", is_flag=True, help="Only what runs.")
@click.option("--outcome", type=click.Choice(_ENDS), help="Only what ended so.")
@click.option("--by", "deployer", default="", metavar="WHO", help="Only what they recorded.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@output.option
@settings.connecting
@settings.pass_settings
def list_deployments(
    chosen: settings.Settings,
    /,
    *,
    where: str,
    outcome: str | None,
    limit: int,
    form: str,
    **wanted: Any,
) -> None:
    """List deployments, the last recorded first."""
    how = client.DeploymentOutcome(outcome) if outcome else None

    async def work(registry: client.Registry) -> tuple[list[client.Deployment], bool]:
        taken: list[client.Deployment] = []
        async for one in registry.list_deployments(where, outcome=how, **wanted):
            if len(taken) == limit:
                return taken, True
            taken.append(one)
        return taken, False

    entries, more = session.run(chosen, work)
    output.emit(entries, form, lambda: deployment_tables.deployments(entries))
    if more:
        click.echo(f"Only the newest {limit} are shown; raise --limit for more.", err=True)


@deploy.command("show")
@click.argument("name", metavar="ID")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, name: str, form: str) -> None:
    """Show the deployment ID."""

    async def work(registry: client.Registry) -> client.Deployment:
        return await registry.get_deployment(name)

    found = session.run(chosen, work)
    output.emit(found, form, lambda: deployment_tables.shown(found))


@deploy.command("history")
@click.argument("model")
@click.option("--env", "environment", default="", metavar="NAME", help="Only there.")
@click.option("--at", "instant", default="", metavar="TIME", help="Only what ran at this time.")
@output.option
@settings.connecting
@settings.pass_settings
def history(
    chosen: settings.Settings, /, *, model: str, environment: str, instant: str, form: str
) -> None:
    """Tell what of MODEL ran, since when and who recorded it, the last begun first."""
    as_of = values.instant(instant) if instant else None

    async def work(registry: client.Registry) -> list[client.Deployment]:
        found = registry.deployment_history(model, environment=environment, as_of=as_of)
        return [one async for one in found]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: _history(entries))


def _history(entries: list[client.Deployment]) -> Any:
    return deployment_tables.deployments(entries) if entries else tables.cell("Nothing ran.")
