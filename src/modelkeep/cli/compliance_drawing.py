"""How a compliance report looks: as a table, as CSV, as Markdown."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime

from rich import console as rich_console
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, safe_text, tables
from modelkeep.cli import markdown as markdown_text

_HEADINGS = (
    "RANK", "VERSION", "STAGE", "RISK", "IN USE", "EVALUATED", "OVERDUE", "SCORE", "MISSING",
    "OWNER", "PLANNED",
)  # fmt: skip
_RIGHT = frozenset({"RANK", "IN USE", "OVERDUE", "SCORE"})
_F = client.ComplianceFinding
_WORDS = {
    _F.NO_OWNER: "owner",
    _F.NO_RISK_TIER: "risk tier",
    _F.NO_CARD: "card",
    _F.NO_APPROVAL: "approval",
    _F.NO_LINEAGE: "lineage",
    _F.NO_DATASETS: "datasets",
    _F.NO_SIGNATURE: "signature",
}
_TIERS = {client.RiskTier.CRITICAL: "bold red", client.RiskTier.HIGH: "yellow"}
_FORMULA = frozenset("=+-@\t\r\n|%")
"""A cell that begins with one of these is a formula to a spreadsheet (OWASP, CSV Injection)."""
_COLUMNS = (
    "rank", "version", "stage", "owner", "risk_tier", "exposure", "evaluated_at",
    "revalidation_days", "due_at", "days_overdue", "score", "findings", "planned_on",
)  # fmt: skip


def drawn(report: client.ComplianceReport) -> rich_console.Group:
    """A table, and what it is of."""
    parts: list[rich_console.RenderableType] = [_table(report)] if report.entries else []
    return rich_console.Group(*parts, *(tables.cell(note) for note in _notes(report)))


def _table(report: client.ComplianceReport) -> rich_table.Table:
    rows = []
    for entry, (rank, version, stage, risk, *others) in zip(
        report.entries, _rows(report), strict=True
    ):
        first = [tables.cell(rank), tables.cell(version, "bold"), tables.stage(stage)]
        first.append(tables.cell(risk, _TIERS.get(entry.risk_tier, "")))
        rows.append([*first, *map(tables.cell, others)])
    if not any(entry.planned_on for entry in report.entries):
        return grid.of(
            _HEADINGS[:-1], [row[:-1] for row in rows], right=_RIGHT, expendable=("OWNER", "RANK")
        )
    return grid.of(_HEADINGS, rows, right=_RIGHT, expendable=("OWNER", "RANK"))


def _rows(report: client.ComplianceReport) -> Iterator[tuple[str, ...]]:
    for one in report.entries:
        tier = one.risk_tier
        yield (
            str(one.rank),
            one.version,
            one.stage,
            "not said" if tier is client.RiskTier.UNSPECIFIED else str(tier),
            str(one.exposure),
            f"{one.evaluated_at.astimezone(UTC):%Y-%m-%d}" if one.evaluated_at else "never",
            f"{one.days_overdue:,} d" if one.days_overdue else "",
            f"{one.score:,}" if one.score else "",
            ", ".join(_WORDS[found] for found in one.findings if found in _WORDS),
            one.owner,
            one.planned_on.isoformat() if one.planned_on else "",
        )


def _notes(report: client.ComplianceReport) -> Iterator[str]:
    where = "all namespaces" if report.scope == "-" else report.scope
    yield (
        f"{report.versions:,} versions that people rely on in {where} as of "
        f"{report.as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC: something is missing of "
        f"{report.with_findings:,}; {report.overdue:,} are overdue, {report.never_evaluated:,} of "
        "them never evaluated."
    )
    planned = [one.planned_on for one in report.entries if one.planned_on]
    if planned:
        yield f"The plan runs from the week of {min(planned)} to that of {max(planned)}."


def markdown(report: client.ComplianceReport) -> str:
    """The same as Markdown."""
    shown = markdown_text.table(_HEADINGS, _rows(report), right=_RIGHT)
    return "\n\n".join(
        [*([shown] if report.entries else []), markdown_text.bullets(_notes(report))]
    )


def csv_text(report: client.ComplianceReport) -> str:
    """The entries as CSV that no spreadsheet takes for formulas, dates in ISO 8601."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in report.entries:
        writer.writerow([_cell(getattr(one, column)) for column in _COLUMNS])
    return written.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        case date():
            return value.isoformat()
        case tuple():
            return " ".join(map(str, value))
        case str():
            plain = safe_text.printable(value)
            return f"'{plain}" if value[:1] in _FORMULA and value else plain
    return str(value)
