"""How exports and imports tell what they did."""

from collections.abc import Iterable

from rich import console as rich_console
from rich import markup, text
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, references, safe_text, units

_STYLES = {
    client.Verdict.IMPORTED: "green",
    client.Verdict.CONFLICT: "bold red",
    client.Verdict.LEFT_OUT: "yellow",
}


def exported(report: client.ExportReport) -> rich_console.RenderableType:
    """A bundle that was written."""
    return rich_console.Group(
        _counts(report.counts, "REGISTRY", "BUNDLE"),
        *_notes(report.notes),
        f"{_plain(report.ref)} exported to [bold]{_plain(str(report.file))}[/]:"
        f" {units.size(report.size_bytes)}, read back and compared",
        f"[dim]{report.digest}[/]",
    )


def imported(report: client.ImportReport) -> rich_console.RenderableType:
    """What an import did, or would do."""
    parts: list[rich_console.RenderableType] = [_versions(report.versions)]
    if report.counts:
        parts += ["", _counts(report.counts, "SOURCE", "REGISTRY")]
    if report.differences:
        parts += ["", _differences(report.differences)]
    return rich_console.Group(*parts, *_notes(report.notes), _ending(report))


def document(report: client.ImportReport | client.ExportReport) -> dict[str, object]:
    """The report for programs, with its verdict."""
    names = type(report).__dataclass_fields__
    return {"ok": report.is_ok} | {name: _shown(getattr(report, name)) for name in names}


def _shown(value: object) -> object:
    return value if isinstance(value, str | int | bool | tuple) else str(value)


def _ending(report: client.ImportReport) -> str:
    origin = _plain(report.origin)
    if report.is_dry_run:
        missing = units.size(report.missing_bytes)
        return f"[bold]{origin}[/]: {missing} would be sent; nothing was written"
    sent = f"sent {units.size(report.sent_bytes)}"
    if report.is_ok:
        return f"[bold]{origin}[/] imported and compared: nothing differs; {sent}"
    return f"[bold red]{origin}[/]: not all of it is in the registry as it is at the source; {sent}"


def _versions(outcomes: Iterable[client.VersionOutcome]) -> rich_table.Table:
    rows = [
        [
            text.Text(safe_text.printable(one.called)),
            text.Text(one.ref or "-"),
            text.Text(one.verdict.value, _STYLES.get(one.verdict, "")),
            text.Text(_printable(one.note)),
        ]
        for one in outcomes
    ]
    return grid.of(["SOURCE", "VERSION", "OUTCOME", "REASON"], rows)


def _counts(counts: Iterable[client.Count], source: str, target: str) -> rich_table.Table:
    rows = [
        [
            text.Text(one.what),
            text.Text(f"{one.source:,}"),
            text.Text(f"{one.target:,}"),
            text.Text("equal") if one.is_equal else text.Text("DIFFERS", "bold red"),
        ]
        for one in counts
    ]
    return grid.of(["WHAT", source, target, "COMPARED"], rows, right={source, target})


def _differences(differences: Iterable[client.Difference]) -> rich_table.Table:
    rows = [
        [
            text.Text(safe_text.printable(entry))
            for entry in (one.where, one.what, one.source, one.target)
        ]
        for one in differences
    ]
    return grid.of(["WHERE", "DIFFERS", "SOURCE", "REGISTRY"], rows)


def _notes(notes: Iterable[str]) -> list[str]:
    return [f"[yellow]note:[/] {_plain(note)}" for note in notes]


def _plain(words: str) -> str:
    return markup.escape(_printable(words))


def _printable(words: str) -> str:
    return safe_text.printable(references.shown_in(words))
