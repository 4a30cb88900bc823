"""A comparison as a picture: every figure with its error bar. Needs matplotlib."""

import importlib
import importlib.util
import math
from pathlib import Path
from typing import Any

import click

from modelkeep import client
from modelkeep.cli import evaluation_tables

_SUFFIXES = (".png", ".svg")
_NORMAL_95 = 1.959964
_PANEL_INCHES = 3.2
_ROW_INCHES = 0.32
_DPI = 150
_COLUMNS = 3
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#888888")


def require(path: Path) -> None:
    """Say at once what would keep the picture from being drawn, or do nothing.

    Raises:
        click.ClickException: matplotlib is not installed, or the file is to be of another kind.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise click.BadParameter(
            f"{path} ends neither with .png nor with .svg.", param_hint="--plot"
        )
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException(
            'A plot needs matplotlib; please run: pip install "modelkeep[plot]"'
        )


def draw(found: client.Comparison, path: Path) -> None:
    """Write the picture: a panel for a metric, a row for a slice, a point for a version."""
    matplotlib = importlib.import_module("matplotlib")
    figures = importlib.import_module("matplotlib.figure")
    names = list(dict.fromkeys((one.suite, one.name) for one in found.metrics))
    if not names:
        raise click.ClickException("Nothing compares, so there is nothing to plot.")
    panels = [[m for m in found.metrics if (m.suite, m.name) == name] for name in names]
    columns = min(_COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    tallest = max(len(panel) for panel in panels) * (len(found.versions) + 1)
    height = lines * max(2.4, 1.2 + _ROW_INCHES * tallest)
    # The same comparison makes the same file: no date, and ids that are not made by chance.
    settings = {"svg.hashsalt": "modelkeep", "svg.fonttype": "none", "font.size": 8}
    with matplotlib.rc_context(settings):
        figure = figures.Figure((_PANEL_INCHES * columns + 1, height), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False)
        for place, panel in zip(axes.flat, panels, strict=False):
            _panel(place, panel, found)
        for place in list(axes.flat)[len(panels) :]:
            place.set_visible(False)
        figure.suptitle(f"{found.dataset}, baseline {found.baseline}, 95 % intervals")
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, dpi=_DPI, metadata=metadata)


def _panel(axes: Any, metrics: list[client.ComparedMetric], found: client.Comparison) -> None:
    versions = (found.baseline, *found.versions)
    step = 0.7 / len(versions)
    for n, version in enumerate(versions):
        for row, metric in enumerate(metrics):
            figure = _figure_of(metric, version, found)
            if figure is None:
                continue
            low, high = _interval(figure)
            axes.errorbar(
                figure.value,
                row + (n - (len(versions) - 1) / 2) * step,
                xerr=[[max(0.0, figure.value - low)], [max(0.0, high - figure.value)]],
                fmt="s" if n == 0 else "o",
                color=_COLOURS[n % len(_COLOURS)],
                capsize=2,
                markersize=4,
                label=version if row == 0 else None,
            )
    first = metrics[0]
    unit = f" [{first.unit}]" if first.unit else ""
    axes.set_title(f"{first.name}{unit} {evaluation_tables.arrow(first.direction)}")
    axes.set_yticks(range(len(metrics)), [metric.slice or "all" for metric in metrics])
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.legend(fontsize=6)


def _figure_of(
    metric: client.ComparedMetric, version: str, found: client.Comparison
) -> client.ComparedFigure | None:
    if version == found.baseline:
        return metric.baseline
    return next((one.figure for one in metric.candidates if one.version == version), None)


def _interval(figure: client.ComparedFigure) -> tuple[float, float]:
    """What was stated, or what the standard error implies; nothing if neither is known."""
    if figure.ci_low is not None and figure.ci_high is not None:
        return figure.ci_low, figure.ci_high
    half = (figure.standard_error or 0.0) * _NORMAL_95
    return figure.value - half, figure.value + half
