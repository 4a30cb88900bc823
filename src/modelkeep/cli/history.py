"""`modelkeep history`."""

import click
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, output, session, settings, tables, units

_STAGES = ("development", "staging", "production", "archived")
_DONE = {
    "model.created": "created",
    "model.deleted": "deleted",
    "model.restored": "restored",
    "version.created": "reserved as a draft",
    "version.finalized": "sealed",
    "version.deleted": "deleted",
    "version.restored": "restored",
    "version.quarantined": "quarantined",
    "version.released": "released from quarantine",
    "version.purged": "purged",
    "stage.set": "{before} -> {after}",
    "alias.set": "{before} -> {after}",
    "alias.deleted": "removed, was {before}",
    "alias.protected": "aliases protected: {after}",
    "alias.unprotected": "aliases no longer protected: {before}",
    "model.moved": "renamed, was {before}",
    "model.updated": "changed: {changed}",
    "version.updated": "changed: {changed}",
    "evaluation.recorded": "evaluated",
    "deployment.recorded": "{after} deployed",
    "deployment.ended": "{after} no longer deployed",
    "deployment.rolled_back": "rolled back: {before} -> {after}",
    "deployment.endangered": "{after} runs and was quarantined",
    "gates.bypassed": "gates bypassed, to {after}",
}
"""What was done, by action; an action that is not here is told as it is called."""


@click.command()
@click.argument("model")
@click.option("--alias", default="", metavar="ALIAS", help="Only moves of this alias.")
@click.option("--stage", type=click.Choice(_STAGES), help="Only moves into and out of this stage.")
@click.option("--version", default="", metavar="VERSION", help="Only what happened to it: 1.2.0.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@output.option
@settings.connecting
@settings.pass_settings
def history(
    chosen: settings.Settings,
    /,
    *,
    model: str,
    alias: str,
    stage: str | None,
    version: str,
    limit: int,
    form: str,
) -> None:
    """Tell who did what to a model, and why.

    What happened to MODEL, its versions and aliases, the newest first.
    """

    async def work(registry: client.Registry) -> tuple[list[client.HistoryEntry], bool]:
        taken: list[client.HistoryEntry] = []
        async for entry in registry.history(model, alias=alias, stage=stage or "", version=version):
            if len(taken) == limit:
                return taken, True
            taken.append(entry)
        return taken, False

    entries, more = session.run(chosen, work)
    output.emit(entries, form, lambda: _drawn(entries))
    if more:
        click.echo(f"Only the newest {limit} are shown; raise --limit for more.", err=True)


def _drawn(entries: list[client.HistoryEntry]) -> rich_table.Table:
    rows = [
        (
            tables.cell(units.exact(one.occurred_at), "dim"),
            tables.cell(subject(one), "bold"),
            tables.cell(deed(one)),
            tables.cell(one.actor),
            tables.summary(one.reason),
        )
        for one in entries
    ]
    return grid.of(("TIME", "WHAT", "DONE", "BY", "REASON"), rows, expendable=("BY",))


def subject(entry: client.HistoryEntry) -> str:
    """What it was done to, within the model: `1.2.0`, `champion`, or `model`."""
    # What is of a version (an evaluation has a name that says nothing) is told of the version.
    words = entry.resource.partition("/evaluations/")[0].partition("/deployments/")[0].split("/")
    return words[-1] if len(words) > len(("namespaces", "n", "models", "m")) else "model"


def deed(entry: client.HistoryEntry) -> str:
    """What was done, in a few words."""
    before, after = (text.rpartition("/")[2] for text in (entry.before, entry.after))
    changed = ", ".join(sorted(entry.changed_fields))
    if entry.action == "alias.set" and not before:
        return f"set to {after}"
    known = _DONE.get(entry.action)
    return known.format(before=before, after=after, changed=changed) if known else entry.action
