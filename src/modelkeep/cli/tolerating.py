"""Reading tolerances: `score=0.02`, `latency=5%`, `score[lang=de]=0.05`, `score[*]=0.05`."""

import math
import re
from collections.abc import Iterable

import click

from modelkeep import client

_FIGURE = re.compile(r"(.+?)(?:\[(.+)\])?=([^=\[\]]+)", re.DOTALL)
_PERCENT = 100


def tolerance(text: str, option: str, *, strict: bool = False) -> client.MetricTolerance:
    """How much worse a figure may be, or click.BadParameter."""
    matched = _FIGURE.fullmatch(text)
    number = None if matched is None else _number(matched[3])
    if matched is None or number is None:
        raise click.BadParameter(
            f"{text!r} is not METRIC=AMOUNT; write score=0.02, latency=5% or score[lang=de]=0.05.",
            param_hint=option,
        )
    return client.MetricTolerance(
        metric=matched[1],
        slice=matched[2] or "",
        tolerance=number,
        relative=matched[3].endswith("%"),
        strict=strict,
    )


def tolerances(
    texts: Iterable[str], option: str, *, strict: bool = False
) -> tuple[client.MetricTolerance, ...]:
    """The same of each."""
    return tuple(tolerance(text, option, strict=strict) for text in texts)


def _number(text: str) -> float | None:
    """0 or more, in per cent if it says so; None for anything else."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        return None
    if not (math.isfinite(value) and value >= 0) or "_" in text:
        return None
    return value / _PERCENT if text.endswith("%") else value


def shown(one: client.MetricTolerance) -> str:
    """A tolerance as it is written."""
    part = f"[{one.slice}]" if one.slice else ""
    amount = f"{one.tolerance * _PERCENT:g}%" if one.relative else f"{one.tolerance:g}"
    return f"{one.metric}{part}={amount}"
