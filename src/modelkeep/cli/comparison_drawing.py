"""How a comparison looks to people: as a table, and as Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich import console as rich_console
from rich import table as rich_table
from rich import text

from modelkeep import client
from modelkeep.cli import evaluation_tables, grid, safe_text, tables

HEADINGS = ("METRIC", "SLICE", "VERSION", "VALUE", "N", "DELTA", "VERDICT", "TEST")
_RIGHT = frozenset({"VALUE", "N", "DELTA"})
_V = client.ComparisonVerdict
_STYLES = {_V.BETTER: "bold green", _V.WORSE: "bold red", _V.UNTESTED: "yellow"}
_WORDS = {
    _V.SAME: "no real difference",
    _V.UNTESTED: "no test possible",
    _V.NOT_COMPARABLE: "not comparable",
}
_T = client.SignificanceTest
_TESTS = {
    _T.PAIRED_T: "paired t",
    _T.MCNEMAR_EXACT: "McNemar, exact",
    _T.TWO_PROPORTION_Z: "two-proportion z",
    _T.FISHER_EXACT: "Fisher, exact",
    _T.WELCH_T: "Welch's t",
    _T.INTERVAL_Z: "z of intervals",
    _T.SIGN_EXACT: "sign test, exact",
}
_SMALLEST_P = 0.0001


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table: its cells, and what colours the verdict."""

    cells: tuple[str, ...]
    verdict: client.ComparisonVerdict


def drawn(found: client.Comparison) -> rich_console.Group:
    """A table of all figures, and below it what is to be known about them."""
    parts: list[rich_console.RenderableType] = [_table(found)] if found.metrics else []
    parts += [tables.cell(note) for note in notes(found)]
    return rich_console.Group(*parts)


def _table(found: client.Comparison) -> rich_table.Table:
    rows = [
        [_cell(cell, style) for cell, style in zip(row.cells, _styles(row), strict=True)]
        for row in _rows(found)
    ]
    return grid.of(HEADINGS, rows, right=_RIGHT, expendable=("N",))


def _styles(row: _Row) -> tuple[str, ...]:
    return ("bold", "", "", "", "", "", _STYLES.get(row.verdict, ""), "dim")


def _cell(shown: str, style: str) -> text.Text:
    """A cell that stays empty if there is nothing to show: the line above has it."""
    return text.Text(safe_text.printable(shown), style)


def markdown(found: client.Comparison) -> str:
    """The same as Markdown: a table and a list."""
    rules = ["---:" if heading in _RIGHT else "---" for heading in HEADINGS]
    titles = [heading.capitalize() for heading in HEADINGS]
    rows = [titles, rules, *(map(_escaped, row.cells) for row in _rows(found))]
    lines = [f"| {' | '.join(row)} |" for row in rows] if found.metrics else []
    return "\n".join(
        [*lines, *([""] if lines else []), *(f"- {_escaped(n)}" for n in notes(found))]
    )


def _escaped(raw: str) -> str:
    plain = safe_text.printable(raw).replace("\n", " ")
    for special in "\\|`*_<>[]":
        plain = plain.replace(special, f"\\{special}")
    return plain


def _rows(found: client.Comparison) -> Iterator[_Row]:
    for metric in found.metrics:
        arrow = evaluation_tables.arrow(metric.direction)
        name = f"{metric.name} {arrow}"
        part = metric.slice or "all"
        own = _figure(metric.baseline, metric.unit)
        cells = (name, part, _short(found.baseline, found), *own, "", "baseline", "")
        yield _Row(cells, _V.UNSPECIFIED)
        for one in metric.candidates:
            yield _Row(
                ("", "", _short(one.version, found), *_against(one, metric.unit)), one.verdict
            )


def _figure(figure: client.ComparedFigure | None, unit: str) -> tuple[str, str]:
    if figure is None:
        return "none", ""
    value = f"{evaluation_tables.number(figure.value)} {unit}".rstrip()
    if figure.standard_error is not None:
        value += f" ± {figure.standard_error:.2g}"
    return value, f"{figure.sample_count:,}" if figure.sample_count else ""


def _against(one: client.ComparedCandidate, unit: str) -> tuple[str, ...]:
    delta = "" if one.delta is None else f"{one.delta:+.4g}"
    verdict = _WORDS.get(one.verdict, str(one.verdict))
    return (*_figure(one.figure, unit), delta, verdict, _evidence(one))


def _evidence(one: client.ComparedCandidate) -> str:
    if one.test is _T.UNSPECIFIED or one.p_value is None:
        return one.reason
    shown = f"{_TESTS.get(one.test, str(one.test))}, p {_p(one.p_value)}"
    adjusted = one.adjusted_p_value
    if adjusted is not None and adjusted != one.p_value:
        shown += f", adjusted {_p(adjusted)}"
    return shown


def _p(value: float) -> str:
    return f"< {_SMALLEST_P}" if value < _SMALLEST_P else f"= {value:.2g}"


def _short(version: str, found: client.Comparison) -> str:
    """The version alone where all are of one model."""
    models = {one.partition("@")[0] for one in (found.baseline, *found.versions)}
    return version.partition("@")[2] if len(models) == 1 else version


def notes(found: client.Comparison) -> Iterator[str]:
    """What is to be known about the figures, in sentences."""
    if found.metrics:
        yield (
            f"Compared with {found.baseline} on {found.dataset}; a difference counts as real where "
            f"p < {found.significance:g}."
        )
    if found.slices_tested > 1:
        yield (
            f"{found.slices_tested} slices of a metric were tested at once; their p-values are "
            "adjusted by Holm's method."
        )
    for version in found.versions:
        worse = ", ".join(_got_worse(found, version))
        if worse:
            yield f"{_short(version, found)} got worse: {worse}."
    for one in found.unmatched:
        by = f" by {one.suite}" if one.suite else ""
        yield f"{_short(one.version, found)} is not comparable{by}: {one.reason}."
    if found.truncated:
        yield "There are more figures than one answer holds; name a suite with --suite."


def _got_worse(found: client.Comparison, version: str) -> Iterator[str]:
    for metric in found.metrics:
        for one in metric.candidates:
            if one.version == version and one.verdict is _V.WORSE:
                part = f" of {metric.slice}" if metric.slice else ""
                yield f"{metric.name}{part} by {abs(one.delta or 0):.4g} {metric.unit}".rstrip()
