"""What `diff` draws: a line for each change, sections for each kind of thing."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich import console as rich_console
from rich import padding, text

from modelkeep import client
from modelkeep.cli import grid, safe_text, tables, units

_Part = rich_console.RenderableType
_MARKS = {
    client.FileChangeKind.ADDED: ("+", "green"),
    client.FileChangeKind.REMOVED: ("-", "red"),
    client.FileChangeKind.CHANGED: ("~", "yellow"),
    client.FileChangeKind.RENAMED: (">", "cyan"),
}
_LINE_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def drawn(diff: client.VersionDiff) -> _Part:
    """Everything that differs."""
    title = text.Text(f"{diff.before.ref} -> {diff.after.ref}", "bold")
    if diff.identical:
        return rich_console.Group(title, text.Text("no difference"))
    return rich_console.Group(
        title,
        *_files(diff),
        *_changes("facts", diff.fields, str),
        *_changes("parameters", diff.parameters, _scalar),
        *_metrics(diff.metrics),
        *_changes("datasets", diff.datasets, lambda one: one.revision),
        *_changes("dependencies", diff.dependencies, _version),
        *_changes("inputs", diff.inputs, _tensor),
        *_changes("outputs", diff.outputs, _tensor),
        *_changes("labels", diff.labels, str),
        *_changes("tools", diff.tools, lambda one: one.description or "(no description)"),
        *(part for one in diff.texts for part in _text(one)),
        *_truncated(diff.truncated),
    )


def _files(diff: client.VersionDiff) -> list[_Part]:
    counts = diff.file_counts
    summary = ", ".join(
        f"{number:,} {word}"
        for word, number in (
            ("added", counts.added),
            ("removed", counts.removed),
            ("changed", counts.changed),
            ("renamed", counts.renamed),
            ("unchanged", counts.unchanged),
        )
        if number
    )
    if not diff.files:
        return []
    rows = [_file(one) for one in diff.files]
    table = grid.of(("", "FILE", "SIZE", "DIGEST"), rows, right={"SIZE"}, expendable=("DIGEST",))
    return _section(f"files: {summary}", table)


def _file(one: client.FileChange) -> grid.Row:
    mark, style = _MARKS.get(one.kind, ("?", ""))
    path = f"{one.before_path} -> {one.path}" if one.before_path else one.path
    sides = (one.before_size_bytes, one.after_size_bytes)
    sizes = list(dict.fromkeys(units.size(size) for size in sides if size is not None))
    digests = [units.digest(d) for d in (one.before_digest, one.after_digest) if d]
    return (
        text.Text(mark, style),
        tables.cell(path, style),
        tables.cell(" -> ".join(sizes)),
        tables.cell(" -> ".join(dict.fromkeys(digests)), "dim"),
    )


def _changes(
    title: str, changes: Sequence[client.Change[Any]], show: Callable[[Any], str]
) -> list[_Part]:
    """A section with a line for each: its name, what it was, what it is."""
    rows = []
    for one in changes:
        before, after = (_side(side, show) for side in (one.before, one.after))
        if before == after:  # what is shown in short may hide what differs
            before, after = (_side(side, repr) for side in (one.before, one.after))
        rows.append((tables.cell(one.name, "bold"), _was(before), _is(after)))
    return _section(title, grid.of(("NAME", "BEFORE", "AFTER"), rows)) if rows else []


def _metrics(changes: Sequence[client.MetricChange]) -> list[_Part]:
    rows = [
        (
            tables.cell(one.name, "bold"),
            _was(_figure(one.before)),
            _is(_figure(one.after)),
            tables.cell("" if one.delta is None else f"{one.delta:+.6g}"),
        )
        for one in changes
    ]
    headings = ("NAME", "BEFORE", "AFTER", "DELTA")
    right = {"BEFORE", "AFTER", "DELTA"}
    return _section("metrics", grid.of(headings, rows, right=right)) if rows else []


def _text(change: client.TextChange) -> list[_Part]:
    lines = change.unified_diff.splitlines() or ["(line ends only)"]
    body = text.Text("\n").join(
        text.Text(safe_text.printable(line), _LINE_STYLES.get(line[:1], "")) for line in lines
    )
    return _section(f"{change.name}: +{change.added_lines:,} -{change.removed_lines:,} lines", body)


def _truncated(fields: Iterable[str]) -> list[_Part]:
    named = ", ".join(fields)
    if not named:
        return []
    return [text.Text(f"\nnot all is shown of: {named} (-o json --files 10000 has more)", "yellow")]


def _section(title: str, part: _Part) -> list[_Part]:
    return [text.Text(f"\n{title}", "bold cyan"), padding.Padding(part, (0, 0, 0, 2))]


def _side(value: Any, show: Callable[[Any], str]) -> str:
    return "" if value is None else show(value)


def _was(value: str) -> text.Text:
    return tables.cell(value, "red")


def _is(value: str) -> text.Text:
    return tables.cell(value, "green")


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _version(one: client.Dependency) -> str:
    return one.version or "any version"


def _tensor(one: client.TensorSpec) -> str:
    return f"{one.dtype or '?'}{list(one.shape)}"
