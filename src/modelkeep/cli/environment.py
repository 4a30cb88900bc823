"""`modelkeep env ...`."""

import click

from modelkeep import client
from modelkeep.cli import deployment_tables, output, session, settings, values

_STAGES = ("development", "staging", "production")
_NONE = "none"


@click.group("env")
def environment() -> None:
    """Create, list and change environments.

    Environments are the places where versions run. ENVIRONMENT is NAMESPACE/NAME: acme/prod.
    """


@environment.command("create")
@click.argument("name", metavar="ENVIRONMENT")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    required=True,
    type=click.Choice(_STAGES),
    help="From which stage versions may be deployed there; may be repeated.",
)
@click.option("--several", is_flag=True, help="Let several deployments of one model run at once.")
@click.option("--description", default="", help="For people.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE")
@output.option
@settings.connecting
@settings.pass_settings
def create(
    chosen: settings.Settings,
    /,
    *,
    name: str,
    stages: tuple[str, ...],
    several: bool,
    description: str,
    labels: tuple[str, ...],
    form: str,
) -> None:
    """Create ENVIRONMENT."""
    stated = values.pairs("--label", labels, str)

    async def work(registry: client.Registry) -> client.Environment:
        return await registry.create_environment(
            name, stages, description=description, labels=stated, allow_several=several
        )

    created = session.run(chosen, work)
    output.emit(created, form, lambda: deployment_tables.environments([created]))


@environment.command("ls")
@click.argument("namespace")
@output.option
@settings.connecting
@settings.pass_settings
def list_environments(chosen: settings.Settings, namespace: str, form: str) -> None:
    """List the environments of NAMESPACE."""

    async def work(registry: client.Registry) -> list[client.Environment]:
        return [entry async for entry in registry.list_environments(namespace)]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: deployment_tables.environments(entries))


@environment.command("update")
@click.argument("name", metavar="ENVIRONMENT")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice((*_STAGES, _NONE)),
    help="What it takes from now on; none: nothing more is deployed there.",
)
@click.option("--several/--no-several", default=None, help="Whether several may run at once.")
@click.option("--description", default=None, help="For people.")
@output.option
@settings.connecting
@settings.pass_settings
def update(
    chosen: settings.Settings,
    /,
    *,
    name: str,
    stages: tuple[str, ...],
    several: bool | None,
    description: str | None,
    form: str,
) -> None:
    """Change what ENVIRONMENT takes; what runs there goes on."""
    taken = [stage for stage in stages if stage != _NONE] if stages else None
    if taken is None and several is None and description is None:
        raise click.UsageError("Say what to change: --stage, --several or --description.")

    async def work(registry: client.Registry) -> client.Environment:
        return await registry.update_environment(
            name, stages=taken, description=description, allow_several=several
        )

    updated = session.run(chosen, work)
    output.emit(updated, form, lambda: deployment_tables.environments([updated]))


@environment.command("rm")
@click.argument("name", metavar="ENVIRONMENT")
@output.option
@settings.connecting
@settings.pass_settings
def remove(chosen: settings.Settings, name: str, form: str) -> None:
    """Remove ENVIRONMENT, if nothing ever ran there."""

    async def work(registry: client.Registry) -> client.Environment:
        return await registry.delete_environment(name)

    removed = session.run(chosen, work)
    output.emit(removed, form, lambda: f"[bold]{removed.ref}[/] is removed")
