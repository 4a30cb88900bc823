"""How transitions look to people."""

from collections.abc import Iterable
from typing import Any

from rich import console as rich_console
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import gate_drawing, grid, tables

_State = client.TransitionState
_STYLES = {
    _State.PENDING: "yellow",
    _State.APPROVED: "cyan",
    _State.COMMITTED: "bold green",
    _State.REJECTED: "bold red",
}


def transitions(found: Iterable[client.Transition]) -> rich_table.Table:
    """One line for each."""
    rows = [
        (
            tables.cell(one.ref, "bold"),
            tables.stage(one.stage),
            tables.cell(one.state, _STYLES.get(one.state, "dim")),
            tables.cell(one.requester),
            tables.cell(", ".join(_said(one))),
            tables.age(one.created_at),
            tables.summary(one.reason),
        )
        for one in found
    ]
    headings = ("TRANSITION", "TO", "STATE", "ASKED BY", "VERDICTS", "ASKED", "REASON")
    return grid.of(headings, rows, expendable=("VERDICTS", "ASKED"))


def _said(one: client.Transition) -> list[str]:
    return [f"{'+' if v.approved else '-'}{v.approver}" for v in one.verdicts if v.counts]


def shown(one: client.Transition) -> Any:
    """Everything about one."""
    ended = f" {one.end_reason}" if one.end_reason else ""
    by = f" by {one.end_actor}" if one.end_actor else ""
    lines = [
        ("transition", one.ref),
        ("move", f"{one.origin} to {one.stage}"),
        ("state", f"{one.state}{by}{ended}"),
        ("asked by", f"{one.requester}, {_at(one.created_at)}: {one.reason}"),
        ("expires", _at(one.expires_at) if one.ended_at is None else ""),
        ("ended", _at(one.ended_at)),
        ("replaces", one.replaces),
        *((_verb(verdict), _words(verdict)) for verdict in one.verdicts),
    ]
    table = rich_table.Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for name, text in lines:
        if text:
            table.add_row(tables.cell(name, "dim"), tables.cell(text))
    report = one.gates
    if report is None or not report.verdicts:
        return table
    return rich_console.Group(table, "", gate_drawing.verdicts(report.verdicts))


def _verb(verdict: client.TransitionVerdict) -> str:
    verb = "approved by" if verdict.approved else "rejected by"
    return verb if verdict.counts else f"({verb})"


def _words(verdict: client.TransitionVerdict) -> str:
    roles = f" ({', '.join(verdict.roles)})" if verdict.roles else ""
    comment = f": {verdict.comment}" if verdict.comment else ""
    return f"{verdict.approver}{roles}, {_at(verdict.created_at)}{comment}"


def _at(instant: Any) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z" if instant else ""


def promoted(one: client.Transition) -> Any:
    """How far it is, in a sentence."""
    if one.state is _State.COMMITTED:
        made = f"; {one.replaces} made room" if one.replaces else ""
        return tables.cell(f"{one.version} is now in {one.stage}{made}", "bold")
    why = f": {one.end_reason}" if one.end_reason else "".join(_against(one))
    return tables.cell(f"{one.ref} to {one.stage} is {one.state}{why}", "bold")


def _against(one: client.Transition) -> list[str]:
    standing = [v for v in one.verdicts if v.counts and not v.approved]
    return [f" by {v.approver}: {v.comment}" for v in standing[:1]]


def waiting(one: client.Transition) -> str:
    """What it waits for, and what to do about that."""
    wanting = [v.sentence for v in one.gates.verdicts if v.pending] if one.gates else []
    told = "; ".join(wanting) or "approvals"
    return f"waiting: {told}. Somebody else says: modelkeep approve {one.ref}"
