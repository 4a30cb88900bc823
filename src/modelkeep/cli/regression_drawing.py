"""How a regression report looks: as a table, as Markdown, as JUnit's test cases."""

from collections.abc import Iterator

from rich import console as rich_console
from rich import table as rich_table
from rich import text

from modelkeep import client
from modelkeep.cli import evaluation_tables, grid, junit, safe_text, tables
from modelkeep.cli import markdown as markdown_text

_HEADINGS = ("RESULT", "METRIC", "SLICE", "SUITE", "BASELINE", "NOW", "WHAT WAS FOUND")
_RIGHT = frozenset({"BASELINE", "NOW"})
_O = client.RegressionOutcome
_STYLES = {True: "bold red", False: "bold green"}
_WORDS = {_O.HELD: "held", _O.REGRESSED: "worse", _O.NEW: "new"}


def drawn(found: client.RegressionReport) -> rich_console.Group:
    """All figures, and whether they hold."""
    parts: list[rich_console.RenderableType] = [_table(found)] if found.checks else []
    parts.append(text.Text(safe_text.printable(found.summary), _STYLES[not found.passed]))
    return rich_console.Group(*parts, *(tables.cell(note) for note in _notes(found)))


def _table(found: client.RegressionReport) -> rich_table.Table:
    rows = [
        [
            tables.cell(first, _STYLES[check.failed] if check.failed else "green"),
            *map(tables.cell, others),
        ]
        for check, (first, *others) in zip(found.checks, _rows(found), strict=True)
    ]
    return grid.of(_HEADINGS, rows, right=_RIGHT, expendable=("SUITE",))


def _rows(found: client.RegressionReport) -> Iterator[tuple[str, ...]]:
    for check in found.checks:
        arrow = evaluation_tables.arrow(check.direction)
        yield (
            _word(check),
            f"{check.metric} {arrow}".rstrip() if check.metric else "all",
            check.slice or "all",
            check.suite,
            _figure(check.baseline, check.unit),
            _figure(check.candidate.figure if check.candidate else None, check.unit),
            check.sentence,
        )


def _word(check: client.RegressionCheck) -> str:
    if check.outcome is _O.NOT_COMPARABLE:
        return "not comparable" if check.failed else "let pass"
    return _WORDS.get(check.outcome, str(check.outcome))


def _figure(figure: client.ComparedFigure | None, unit: str) -> str:
    return f"{evaluation_tables.number(figure.value)} {unit}".rstrip() if figure else ""


def markdown(found: client.RegressionReport) -> str:
    """The same as Markdown."""
    parts = [f"**{markdown_text.escaped(found.summary)}**"]
    if found.checks:
        parts.append(markdown_text.table(_HEADINGS, _rows(found), right=_RIGHT))
    return "\n\n".join([*parts, markdown_text.bullets(_notes(found))])


def _notes(found: client.RegressionReport) -> Iterator[str]:
    yield (
        f"Compared with {found.baseline or 'nothing'} on {found.dataset}; a difference counts as "
        f"real where p < {found.significance:g}."
    )
    if found.slices_tested > 1:
        yield (
            f"{found.slices_tested} slices of a metric were tested at once; their p-values are"
            " adjusted by Holm's method."
        )
    if found.truncated:
        yield "There are more figures than fit into one answer; name a suite."


def cases(found: client.RegressionReport) -> list[junit.Case]:
    """A test for each figure; what is new, or is let pass, counts as skipped."""
    return [
        junit.Case(
            group=check.suite or found.dataset,
            name=_name(check),
            told=check.sentence,
            failure=str(check.outcome) if check.failed else "",
            skipped=not check.failed and check.outcome in {_O.NEW, _O.NOT_COMPARABLE},
        )
        for check in found.checks
    ]


def _name(check: client.RegressionCheck) -> str:
    if not check.metric:
        return "all metrics"
    return f"{check.metric} [{check.slice}]" if check.slice else check.metric
