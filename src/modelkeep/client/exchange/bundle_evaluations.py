"""The evaluations of a bundle: one in a line, in the contract's JSON, read with distrust."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import json_format

from modelkeep.client import convert, errors, evaluation_convert, evaluation_records, hashing, refs
from modelkeep.client.exchange import bundle_records, bundle_tar, json_entries, measured
from modelkeep.v1 import evaluation_service_pb2 as pb

_MAX_METRICS = 1000
_MAX_FIGURE = 1e100
_SHOWN_CHARS = 300
_NAME = re.compile(r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/evaluations/[0-9a-f]{16}")
_FIGURES = ("value", "standard_error", "ci_low", "ci_high", "ci_level")
_DERIVED = ("superseded_by", "metric_count")


def encode(evaluations: Iterable[evaluation_records.Evaluation]) -> bytes:
    """The part's bytes, in the order given; nothing if there are none.

    Raises:
        LimitReached: there are more than a bundle may have.
    """
    told = list(evaluations)
    _require_room(len(told), bundle_records.MAX_EVALUATIONS, "evaluations")
    part = b"".join(map(_line, told))
    _require_room(len(part), bundle_records.MAX_EVALUATIONS_BYTES, "bytes of evaluations")
    return part


def _require_room(found: int, most: int, what: str) -> None:
    if found > most:
        raise errors.LimitReached(
            f"There are {found} {what}, and a bundle has room for {most}; export the versions one"
            " by one.",
            reason="TOO_MANY_EVALUATIONS",
        )


def part_of(raw: bytes) -> bundle_records.EvaluationsPart | None:
    """What the index says of the part with these bytes; None for no part."""
    if not raw:
        return None
    return bundle_records.EvaluationsPart(
        digest=_digest(raw), size_bytes=len(raw), count=raw.count(b"\n")
    )


def _digest(raw: bytes) -> str:
    return hashing.text_of(hashlib.sha256(raw))


def _line(evaluation: evaluation_records.Evaluation) -> bytes:
    document = json_format.MessageToDict(_to_wire(evaluation), preserving_proto_field_name=True)
    text = json.dumps(
        document, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return f"{text}\n".encode()


def _to_wire(evaluation: evaluation_records.Evaluation) -> pb.Evaluation:
    """All of it but what follows from the others."""
    wire = evaluation_convert.report_to_wire(
        evaluation_records.EvaluationReport(
            dataset=evaluation.dataset,
            suite=evaluation.suite,
            evaluator=evaluation.evaluator,
            metrics=evaluation.metrics,
            run_at=evaluation.run_at,
            note=evaluation.note,
        )
    )
    for metric, told in zip(wire.metrics, evaluation.metrics, strict=True):
        metric.examples_digest = told.examples_digest
    wire.name, wire.actor = evaluation.name, evaluation.actor
    wire.supersedes = evaluation.supersedes
    if evaluation.created_at is not None:
        wire.create_time.CopyFrom(convert.instant_to_wire(evaluation.created_at))
    return wire


def decode(
    raw: bytes, part: bundle_records.EvaluationsPart, bundle: bundle_records.Bundle
) -> tuple[evaluation_records.Evaluation, ...]:
    """The evaluations of the bundle's versions that the part has.

    Raises:
        BadSource: it is not the part the index means, or says what no evaluation can say.
    """
    if _digest(raw) != part.digest:
        raise bundle_tar.bad(
            f"The bundle is damaged: {bundle_records.EVALUATIONS_NAME} has other bytes than its"
            " index says"
        )
    lines = raw.count(b"\n")
    if lines != part.count or not raw.endswith(b"\n"):
        raise bundle_tar.bad(
            f"The bundle's index tells of {part.count} evaluations, and"
            f" {bundle_records.EVALUATIONS_NAME} has {lines} lines"
        )
    check = _Check(bundle)
    return measured.linked(check.passed(number, line) for number, line in _numbered(raw))


def _numbered(raw: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(raw[:-1].split(b"\n"), start=1)


class _Check:
    """Reads lines and refuses what no registry would tell of the bundle's versions."""

    def __init__(self, bundle: bundle_records.Bundle) -> None:
        model = refs.parse_model(bundle.name).model_name
        self._parents = {f"{model}/versions/{one.version}" for one in bundle.versions}
        self._seen: set[str] = set()
        self._superseded: set[str] = set()

    def passed(self, number: int, line: bytes) -> evaluation_records.Evaluation:
        where = f"The bundle's evaluation {number}"
        wire = _parsed(where, json_entries.parse(line, where, "BAD_BUNDLE"))
        try:
            self._place(wire)
            _check_run(wire)
            _check_metrics(wire)
            return evaluation_convert.evaluation_from_wire(wire)
        except ValueError as wrong:
            raise bundle_tar.bad(f"{where} {_shown(wrong)}") from wrong

    def _place(self, wire: pb.Evaluation) -> None:
        named = _NAME.fullmatch(wire.name)
        _require(named is not None, "has no name of an evaluation")
        parent = named[1] if named else ""
        _require(parent in self._parents, f"is of {parent}, which is not in the bundle")
        _require(wire.name not in self._seen, f"is there twice: {wire.name}")
        self._seen.add(wire.name)
        old = wire.supersedes
        if old:
            known = old in self._seen - {wire.name} and old.startswith(f"{parent}/")
            _require(known, "corrects one that is not before it")
            _require(old not in self._superseded, "corrects one that another corrects already")
            self._superseded.add(old)


def _parsed(where: str, entry: json_entries.Entry) -> pb.Evaluation:
    for key in _DERIVED:
        if key in entry.fields:
            raise entry.wrong(key, "is not to be said: it follows from the others")
    metrics = entry.entries("metrics")
    if len(metrics) > _MAX_METRICS:
        raise entry.wrong("metrics", f"has more than {_MAX_METRICS} entries")
    for metric in metrics:
        for field in _FIGURES:  # NaN is no JSON, but Python reads it
            _check_figure(metric, field)
    wire = pb.Evaluation()
    try:
        json_format.ParseDict(entry.fields, wire)
    except (json_format.ParseError, ValueError, RecursionError) as bad:
        raise bundle_tar.bad(f"{where} is not what one may say: {_shown(bad)}") from bad
    return wire


def _check_figure(metric: json_entries.Entry, field: str) -> None:
    figure = metric.fields.get(field)
    if isinstance(figure, float) and not math.isfinite(figure):
        raise metric.wrong(field, f"is {figure}, which is not a figure to keep")


def _check_run(wire: pb.Evaluation) -> None:
    said = {
        "dataset.name": wire.dataset.name,
        "dataset.revision": wire.dataset.revision,
        "suite": wire.suite,
        "evaluator": wire.evaluator,
        "run_time": wire.HasField("run_time"),
    }
    for field, value in said.items():
        _require(bool(value), f"says nothing in {field}")


def _check_metrics(wire: pb.Evaluation) -> None:
    _require(bool(wire.metrics), "has no metrics")
    seen: set[tuple[str, str]] = set()
    for number, metric in enumerate(wire.metrics):
        at = f"metrics[{number}]"
        _require(bool(metric.name), f"says nothing in {at}.name")
        _require((metric.name, metric.slice) not in seen, f"has {at}.name twice for its slice")
        seen.add((metric.name, metric.slice))
        known = evaluation_convert.direction_from_wire(metric.direction)
        _require(
            known is not evaluation_records.MetricDirection.UNSPECIFIED,
            f"does not say in {at}.direction which way the metric gets better",
        )
        for field, figure in _figures(metric):
            fine = math.isfinite(figure) and abs(figure) <= _MAX_FIGURE
            _require(fine, f"has {figure} as {at}.{field}, which is not a figure to keep")


def _figures(metric: pb.EvaluationMetric) -> Iterator[tuple[str, float]]:
    """All of them; 0 where one is not set."""
    for field in _FIGURES:
        yield field, getattr(metric, field)


def _require(fine: bool, wrong: str) -> None:
    if not fine:
        raise ValueError(wrong)


def _shown(failure: Any) -> str:
    return str(failure)[:_SHOWN_CHARS].rstrip(".")
