"""How environments and deployments look to people."""

from collections.abc import Iterable

from rich import console as rich_console
from rich import padding, text
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, tables, units

_STYLES = {
    client.DeploymentOutcome.RUNNING: "bold green",
    client.DeploymentOutcome.FAILED: "bold red",
    client.DeploymentOutcome.ROLLED_BACK: "red",
}


def environments(entries: Iterable[client.Environment]) -> rich_table.Table:
    """One line for each environment."""
    rows = [
        (
            tables.cell(one.ref, "bold"),
            tables.cell(", ".join(one.stages) or "nothing"),
            tables.cell("several" if one.allow_several else "one"),
            tables.age(one.created_at),
            tables.cell(one.creator),
            tables.summary(one.description),
        )
        for one in entries
    ]
    headings = ("ENVIRONMENT", "TAKES", "AT ONCE", "CREATED", "BY", "DESCRIPTION")
    return grid.of(headings, rows, expendable=("BY",))


def deployments(entries: Iterable[client.Deployment]) -> rich_table.Table:
    """One line for each deployment."""
    rows = [
        (
            tables.cell(one.ref, "bold"),
            tables.cell(one.version.rpartition("@")[2]),
            tables.cell(one.environment),
            outcome(one),
            tables.cell(_instant(one.started_at)),
            tables.cell(_instant(one.ended_at)),
            tables.cell(one.deployer),
            tables.cell(one.target),
        )
        for one in entries
    ]
    headings = ("ID", "VERSION", "WHERE", "OUTCOME", "BEGAN", "ENDED", "BY", "TARGET")
    return grid.of(headings, rows, expendable=("TARGET", "BY", "ENDED"))


def _instant(at: object) -> str:
    return units.exact(at) if at else ""  # type: ignore[arg-type]


def outcome(one: client.Deployment) -> text.Text:
    """How it ended, in its colour."""
    shown = one.outcome.value.replace("_", " ")
    return tables.cell(shown, _STYLES.get(one.outcome, ""))


def shown(one: client.Deployment) -> rich_console.Group:
    """A deployment with all there is to it."""
    facts: list[tuple[str, str | text.Text]] = [
        ("version", one.version),
        ("environment", one.environment),
        ("outcome", outcome(one)),
        ("target", one.target),
        ("labels", ", ".join(f"{key}={value}" for key, value in sorted(one.labels.items()))),
        ("stage then", one.stage),
        ("began", _instant(one.started_at)),
        ("recorded by", one.deployer),
        ("reason", one.reason),
        ("took back", one.rollback_of),
        ("ended", _instant(one.ended_at)),
        ("ended by", one.ended_by),
        ("because", one.end_reason),
    ]
    return rich_console.Group(
        text.Text(one.ref, "bold"), padding.Padding(tables.pairs(facts), (0, 0, 0, 2))
    )
