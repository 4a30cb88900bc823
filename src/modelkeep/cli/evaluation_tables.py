"""How evaluations look to people."""

from collections.abc import Iterable

from rich import console as rich_console
from rich import padding, text
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, tables, units

_ARROWS = {client.MetricDirection.HIGHER: "↑", client.MetricDirection.LOWER: "↓"}
_SHOWN_METRICS = 4


def evaluations(entries: Iterable[client.Evaluation]) -> rich_table.Table:
    """One line for each evaluation."""
    rows = [
        (
            tables.cell(one.ref, "dim" if one.superseded_by else "bold"),
            tables.cell(str(one.dataset)),
            tables.cell(one.suite),
            tables.cell(one.evaluator),
            tables.age(one.run_at),
            tables.cell("superseded" if one.superseded_by else _figures(one)),
            tables.cell(one.actor),
        )
        for one in entries
    ]
    headings = ("ID", "DATASET", "SUITE", "EVALUATOR", "RUN", "FIGURES", "BY")
    return grid.of(headings, rows, expendable=("BY", "EVALUATOR"))


def _figures(evaluation: client.Evaluation) -> str:
    shown = [f"{m.name} {number(m.value)}" for m in evaluation.metrics[:_SHOWN_METRICS]]
    more = evaluation.metric_count - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def shown(evaluation: client.Evaluation) -> rich_console.Group:
    """An evaluation with all its figures."""
    facts = [
        ("dataset", f"{evaluation.dataset} {evaluation.dataset.digest}".rstrip()),
        ("suite", evaluation.suite),
        ("evaluator", evaluation.evaluator),
        ("run", units.exact(evaluation.run_at) if evaluation.run_at else ""),
        ("recorded by", evaluation.actor),
        ("note", evaluation.note),
        ("corrects", evaluation.supersedes.rpartition("/")[2]),
        ("corrected by", evaluation.superseded_by.rpartition("/")[2]),
    ]
    return rich_console.Group(
        text.Text(evaluation.ref, "bold"),
        padding.Padding(tables.pairs(facts), (0, 0, 1, 2)),
        metrics(evaluation.metrics),
    )


def metrics(entries: Iterable[client.EvaluationMetric]) -> rich_table.Table:
    """One line for each figure."""
    rows = [
        (
            tables.cell(f"{one.name} {arrow(one.direction)}", "bold"),
            tables.cell(one.slice or "all"),
            tables.cell(f"{number(one.value)} {one.unit}".rstrip()),
            tables.cell(_spread(one)),
            tables.cell(f"{one.sample_count:,}" if one.sample_count else ""),
            tables.cell("kept" if one.examples_digest else ""),
        )
        for one in entries
    ]
    headings = ("METRIC", "SLICE", "VALUE", "ERROR", "N", "SCORES")
    return grid.of(headings, rows, right={"VALUE", "N"}, expendable=("SCORES",))


def _spread(metric: client.EvaluationMetric) -> str:
    if metric.standard_error is not None:
        return f"± {number(metric.standard_error)}"
    if metric.ci_low is not None and metric.ci_high is not None:
        level = f"{metric.ci_level * 100:g} %"
        return f"{number(metric.ci_low)} to {number(metric.ci_high)} ({level})"
    return "proportion" if metric.proportion else ""


def arrow(direction: client.MetricDirection) -> str:
    """Which way it gets better."""
    return _ARROWS.get(direction, "")


def number(value: float) -> str:
    """Four digits that matter."""
    return f"{value:.4g}"
