"""`modelkeep stage`."""

import click

from modelkeep import client
from modelkeep.cli import output, picking, session, settings

_STAGES = ("development", "staging", "production", "archived")


@click.command()
@click.argument("ref")
@click.argument("where", metavar="STAGE", type=click.Choice(_STAGES))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the history.")
@click.option(
    "--bypass-gates",
    is_flag=True,
    help="Whatever the gates say; takes a permission of its own, and is told loudly.",
)
@output.option
@settings.connecting
@settings.pass_settings
def stage(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    where: str,
    reason: str,
    bypass_gates: bool,
    form: str,
) -> None:
    """Move a version to another stage.

    STAGE is development, staging, production or archived. The move is made at once, without a
    request or approvals; one up must meet the gates there.
    Production holds one version of a model; the one that stood there is archived, unless the gate
    policy decides otherwise.
    """

    async def work(registry: client.Registry) -> client.StageMove:
        version = await picking.exact(registry, ref)
        return await registry.set_stage(version, where, reason=reason, bypass_gates=bypass_gates)

    move = session.run(chosen, work)
    document = {
        "name": move.version.name,
        "version": move.version.version,
        "stage": move.version.stage,
        "displaced_version": move.displaced_version or None,
    }
    output.emit(document, form, lambda: _sentence(move))


def _sentence(move: client.StageMove) -> str:
    done = f"[bold]{move.version.ref}[/] is now in {move.version.stage}"
    if not move.displaced_version:
        return done
    return f"{done}; {move.displaced_version.rpartition('/')[2]} made room"
