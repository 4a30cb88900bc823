"""How the audit log looks to people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import console as rich_console
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, output, safe_text, tables, units

NO_KEY = (
    "The server has no signing key, so there are no checkpoints, and a tail that was cut off "
    "together with the counter would not show: set MODELKEEP_AUDIT_SIGNING_KEY."
)
_SHOWN_CHARS = 100
_DENIED = "access.denied"


def events(entries: Iterable[client.AuditEvent]) -> rich_table.Table:
    """One line for each event."""
    rows = [
        (
            tables.cell(str(one.sequence), "dim"),
            tables.cell(units.exact(one.created_at), "dim"),
            tables.cell(one.actor, "bold"),
            tables.cell(one.action, "bold red" if one.action == _DENIED else ""),
            tables.cell(one.resource.partition("/")[2].partition("/")[2] or one.resource),
            tables.cell(_particulars(one.after if one.after is not None else one.before or {})),
            tables.cell(one.client),
        )
        for one in entries
    ]
    headings = ("SEQ", "TIME", "WHO", "ACTION", "RESOURCE", "FIELDS", "FROM")
    return grid.of(headings, rows, right={"SEQ"}, expendable=("FROM", "FIELDS"))


def verdicts(entries: Sequence[client.AuditVerdict]) -> rich_console.RenderableType:
    """What was found of each chain, and what could not be looked at."""
    rows = [
        (
            tables.cell(one.chain, "bold"),
            tables.cell(*_state(one)),
            tables.cell(f"{one.events:,}"),
            tables.cell(str(one.sequence)),
            tables.cell(_sealed(one)),
            tables.cell(one.hash[:16], "dim"),
        )
        for one in entries
    ]
    headings = ("CHAIN", "STATE", "EVENTS", "LAST", "CHECKPOINTS", "HASH")
    drawn = grid.of(headings, rows, right={"EVENTS", "LAST"}, expendable=("HASH",))
    return rich_console.Group(drawn, *(["", *_notes(entries)] if _notes(entries) else []))


def broken(one: client.AuditVerdict) -> str:
    """What is wrong with a chain, in one sentence."""
    assert one.fault is not None  # noqa: S101 - only broken chains come here
    return safe_text.printable(
        f"the chain of {one.chain or 'this file'} is broken at event {one.fault.sequence} "
        f"({one.fault.kind}): {one.fault.description}."
    )


def document(one: client.AuditVerdict) -> Any:
    """The verdict for programs."""
    return {"intact": one.is_intact, **output.plain(one)}


def keys(entries: Iterable[client.AuditKey]) -> rich_table.Table:
    """One line for each key."""
    rows = [
        (
            tables.cell(one.key_id, "bold"),
            tables.cell(one.public_key),
            tables.cell("signs" if one.signs else "known"),
        )
        for one in entries
    ]
    return grid.of(("KEY", "PUBLIC KEY", "USE"), rows)


def _state(one: client.AuditVerdict) -> tuple[str, str]:
    return ("intact", "green") if one.fault is None else (f"BROKEN: {one.fault.kind}", "bold red")


def _sealed(one: client.AuditVerdict) -> str:
    if not one.checkpoints_verifiable:
        return "not verified"
    return f"{one.checkpoints:,}, up to {one.checkpoint_sequence}" if one.checkpoints else "none"


def _notes(entries: Sequence[client.AuditVerdict]) -> list[str]:
    named = sorted({key for one in entries for key in one.key_ids})
    notes = [f"Signed by {', '.join(named)}."] if named else []
    if any(not one.checkpoints_verifiable for one in entries):
        notes.append(
            "Signatures were not verified: the server needs MODELKEEP_AUDIT_SIGNING_KEY, "
            'and this command, for a file, pip install "modelkeep[audit]".'
        )
    return notes


def _particulars(fields: Mapping[str, Any]) -> str:
    shown = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in fields.items()
        if value not in ("", [], {})
    ]
    text = "  ".join(shown)
    return f"{text[:_SHOWN_CHARS]}…" if len(text) > _SHOWN_CHARS else text
