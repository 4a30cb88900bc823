"""Reading what was measured: results as JSON, scores of single examples as CSV."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from modelkeep import client
from modelkeep.cli import values

_MOST_BYTES = 16 * 1024 * 1024
MOST_SCORES = 20_000
_TOP = frozenset({"suite", "evaluator", "metrics", "dataset", "dataset_digest", "run_at", "note"})
_TEXTS = {"name": "name", "slice": "slice", "unit": "unit"}
_NUMBERS = {
    "value": "value",
    "stderr": "standard_error",
    "ci_low": "ci_low",
    "ci_high": "ci_high",
    "ci_level": "ci_level",
}
_KNOWN = {*_TEXTS, *_NUMBERS, "n", "direction", "proportion"}
_COLUMNS = ("example_id", "metric", "value")
_DIRECTIONS = ("higher", "lower")


class BadFile(click.ClickException):
    """A file does not say what it should; exit code 2, as for any wrong use."""

    exit_code = 2


def read_results(path: Path) -> dict[str, Any]:
    """The object of a results file, its metrics as records; raises BadFile naming the field."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadFile(f"{path} has more than 16 MiB; it holds too many figures.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as failure:
        raise BadFile(f"{path} is not JSON: {failure}.") from failure
    _require_keys(path, "", document, _TOP)
    entries = document.get("metrics", [])
    if not isinstance(entries, list):
        raise BadFile(f"{path}: metrics is not a list.")
    metrics = tuple(_metric(path, f"metrics[{n}]", entry) for n, entry in enumerate(entries))
    for key in _TOP - {"metrics"}:
        _require_text(path, key, document.get(key, ""))
    return {**document, "metrics": metrics}


def _require_keys(path: Path, at: str, entry: object, known: Mapping[str, Any] | Any) -> None:
    where = f"{path}: {at or 'it'}"
    if not isinstance(entry, dict):
        raise BadFile(f"{where} is not an object.")
    for key in entry:
        if key not in known:
            raise BadFile(f"{where} has {key!r}; what is known is {', '.join(sorted(known))}.")


def _require_text(path: Path, at: str, value: object) -> None:
    if not isinstance(value, str):
        raise BadFile(f"{path}: {at} is not a text.")


def _metric(path: Path, at: str, entry: Any) -> client.EvaluationMetric:
    _require_keys(path, at, entry, _KNOWN)
    for key in ("name", "value", "direction"):
        if key not in entry:
            raise BadFile(f"{path}: {at} has no {key}.")
    fields: dict[str, Any] = {"direction": _direction(path, f"{at}.direction", entry["direction"])}
    for key, field in _TEXTS.items():
        if key in entry:
            _require_text(path, f"{at}.{key}", entry[key])
            fields[field] = entry[key]
    for key, field in _NUMBERS.items():
        if entry.get(key) is not None:
            fields[field] = float(_number(path, f"{at}.{key}", entry[key]))
    if entry.get("n") is not None:
        fields["sample_count"] = _count(path, f"{at}.n", entry["n"])
    fields["proportion"] = entry.get("proportion", False) is True
    return client.EvaluationMetric(**fields)


def _direction(path: Path, at: str, word: object) -> client.MetricDirection:
    if word not in _DIRECTIONS:
        raise BadFile(f"{path}: {at} is {word!r}; write higher or lower.")
    return client.MetricDirection(word)


def _number(path: Path, at: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadFile(f"{path}: {at} is not a number.")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise BadFile(f"{path}: {at} is too large.")
    return value


def _count(path: Path, at: str, value: object) -> int:
    number = _number(path, at, value)
    if number != int(number):
        raise BadFile(f"{path}: {at} is {number}; write a whole number.")
    return int(number)


def read_scores(path: Path, lower: tuple[str, ...]) -> tuple[client.ScoreSet, ...]:
    """The scores of a CSV file with the columns example_id, metric, value and, perhaps, slice.

    Lines are read one after the other, and no more than a server takes.

    Args:
        path: the file; `metric` and `slice` make the sets.
        lower: metrics that get better as they get lower; all others are better when higher.

    Raises:
        BadFile: naming the line.
    """
    sets: dict[tuple[str, str], dict[str, float]] = {}
    for line, row in _rows(path):
        scores = sets.setdefault((row["metric"], row.get("slice") or ""), {})
        if row["example_id"] in scores:
            raise BadFile(f"{path}, line {line}: example {row['example_id']!r} is there twice.")
        try:
            scores[row["example_id"]] = values.figure(row["value"])
        except ValueError as failure:
            raise BadFile(f"{path}, line {line}: {failure}.") from failure
    if unknown := set(lower) - {name for name, _ in sets}:
        raise BadFile(f"{path} has no metric {min(unknown)!r}, which --lower names.")
    return tuple(
        client.ScoreSet(
            metric=name,
            slice=part,
            scores=scores,
            direction=client.MetricDirection("lower" if name in lower else "higher"),
        )
        for (name, part), scores in sets.items()
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                raise BadFile(
                    f"{path} has no column {missing[0]}; its first line must name the columns"
                    " example_id, metric, value and, if need be, slice."
                )
            for count, row in enumerate(reader):
                if count == MOST_SCORES:
                    raise BadFile(f"{path} has more than {MOST_SCORES:,} scores; push fewer.")
                if any(not row[name] for name in _COLUMNS):
                    raise BadFile(f"{path}, line {reader.line_num}: a value is missing.")
                yield reader.line_num, row
        except (csv.Error, UnicodeDecodeError) as failure:
            raise BadFile(f"{path}, line {reader.line_num}: {failure}.") from failure
