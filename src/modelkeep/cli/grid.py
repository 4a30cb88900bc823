"""Tables in the house style: no frame, columns aligned, no wider than the terminal."""

import shutil
import sys
from collections.abc import Collection, Sequence

from rich import table as rich_table
from rich import text

_GAP = 2
_WRAPPING = frozenset({"DESCRIPTION", "REASON", "ALIASES", "FILE", "MEANING", "WHAT TO DO"})
"""Columns whose text may be broken over lines; all others stay whole."""

Row = Sequence[text.Text]


def of(
    headings: Sequence[str],
    rows: Sequence[Row],
    *,
    right: Collection[str] = (),
    expendable: Sequence[str] = (),
) -> rich_table.Table:
    """A table of those rows.

    Args:
        headings: the name of each column.
        rows: a text for each column.
        right: columns of numbers, aligned at the right.
        expendable: columns to leave out, the first first, where the terminal is too narrow.
    """
    shown, fits = _fitting(headings, rows, expendable)
    table = rich_table.Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for column in shown:
        heading = headings[column]
        # Names are in the first column. They are never cut: what is cut names nothing.
        wraps = heading in _WRAPPING or (column == 0 and not fits)
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=not wraps,
            overflow="fold" if wraps else "ellipsis",
        )
    for row in rows:
        table.add_row(*(row[column] for column in shown))
    return table


def _fitting(
    headings: Sequence[str], rows: Sequence[Row], expendable: Sequence[str]
) -> tuple[list[int], bool]:
    """The columns that there is space for, and whether these fit."""
    shown = list(range(len(headings)))
    if not sys.stdout.isatty():
        return shown, True
    space = shutil.get_terminal_size().columns
    widths = [_width(headings, rows, column) + _GAP for column in shown]
    for heading in expendable:
        if sum(widths[column] for column in shown) <= space:
            break
        shown.remove(headings.index(heading))
    return shown, sum(widths[column] for column in shown) <= space


def _width(headings: Sequence[str], rows: Sequence[Row], column: int) -> int:
    # A long text that may wrap asks for no more than a readable column.
    widest = max((row[column].cell_len for row in rows), default=0)
    limit = 24 if headings[column] in _WRAPPING else widest
    return max(len(headings[column]), min(widest, limit))
