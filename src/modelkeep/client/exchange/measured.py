"""Evaluations as imports and exports see them: whole, in order, and told apart."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

from modelkeep.client import evaluation_records
from modelkeep.client.exchange import facts

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_ORIGIN = re.compile(re.escape(facts.REASON_MARK) + r"([^\s,]+@[^\s,]+/[0-9a-f]{16})(?=[,:]|$)")
_CI_LEVEL = 0.95


async def of_version(registry: "Registry", ref: str) -> tuple[evaluation_records.Evaluation, ...]:
    """All evaluations of a version with all metrics, superseded ones too, the first recorded first.

    Raises:
        NotFound: there is no such version.
    """
    listed = [one async for one in registry.list_evaluations(ref, show_superseded=True)]
    whole = [
        one if len(one.metrics) == one.metric_count else await registry.get_evaluation(one.name)
        for one in listed
    ]
    return linked(reversed(whole))


def linked(
    evaluations: Iterable[evaluation_records.Evaluation],
) -> tuple[evaluation_records.Evaluation, ...]:
    """The same with what follows from the others: the count, and which correct which of them."""
    told = list(evaluations)
    by = {one.supersedes: one.name for one in told if one.supersedes}
    return tuple(
        dataclasses.replace(
            one,
            metrics=tuple(map(_stated, one.metrics)),
            metric_count=len(one.metrics),
            superseded_by=by.get(one.name, ""),
        )
        for one in told
    )


def _stated(metric: evaluation_records.EvaluationMetric) -> evaluation_records.EvaluationMetric:
    """The metric without a level of confidence that no interval has."""
    if metric.ci_low is not None:
        return metric
    return dataclasses.replace(metric, ci_level=_CI_LEVEL)


def in_order(
    of_versions: Iterable[Sequence[evaluation_records.Evaluation]],
) -> tuple[evaluation_records.Evaluation, ...]:
    """The evaluations of all versions by when they were recorded; a version's in their order.

    Across versions the order matters as well: a metric that gets better the other way since a
    correction could not be recorded before that correction.
    """
    keyed: list[tuple[str, int, int, evaluation_records.Evaluation]] = []
    for number, evaluations in enumerate(of_versions):
        latest = ""
        for position, one in enumerate(evaluations):
            at = one.created_at.isoformat(timespec="microseconds") if one.created_at else ""
            latest = max(latest, at)
            keyed.append((latest, number, position, one))
    return tuple(one for *_, one in sorted(keyed, key=lambda entry: entry[:3]))


def origin(evaluation: evaluation_records.Evaluation) -> str:
    """Which evaluation it first was, `acme/voice@1.2.0/0123456789abcdef`: it or what its note says.

    Empty where a note says that it was imported, and not whence.
    """
    if not facts.is_by_import(evaluation.note):
        return evaluation.ref
    found = _ORIGIN.match(evaluation.note)
    return found[1] if found else ""


def content(evaluation: evaluation_records.Evaluation) -> Hashable:
    """What was measured, and how: equal for the same run, wherever it is recorded."""
    figures = (dataclasses.replace(one, examples_digest="") for one in evaluation.metrics)
    run = (evaluation.dataset, evaluation.suite, evaluation.evaluator, evaluation.run_at)
    return (*run, *figures)


def _identity(evaluation: evaluation_records.Evaluation) -> Hashable:
    return (origin(evaluation), content(evaluation))


def matched(
    wanted: Sequence[evaluation_records.Evaluation],
    present: Sequence[evaluation_records.Evaluation],
) -> dict[str, evaluation_records.Evaluation]:
    """Which evaluation that is present is which of those wanted, by their names; each once.

    The same origin comes first; what is left is the same run if everything measured is equal.
    """
    found: dict[str, evaluation_records.Evaluation] = {}
    for key_of in (_identity, content):
        taken = {one.name for one in found.values()}
        free = _grouped([one for one in present if one.name not in taken], key_of)
        for one in wanted:
            same = [] if one.name in found else free[key_of(one)]
            if same:
                found[one.name] = same.pop()
    return found


def _grouped(
    evaluations: Sequence[evaluation_records.Evaluation],
    key_of: Callable[[evaluation_records.Evaluation], Hashable],
) -> defaultdict[Hashable, list[evaluation_records.Evaluation]]:
    """Those with the same key together, the first last: it is taken first."""
    groups: defaultdict[Hashable, list[evaluation_records.Evaluation]] = defaultdict(list)
    for one in reversed(evaluations):
        groups[key_of(one)].append(one)
    return groups


def scored(evaluations: Iterable[evaluation_records.Evaluation]) -> int:
    """How many metrics have the scores of single examples behind them."""
    return sum(bool(metric.examples_digest) for one in evaluations for metric in one.metrics)
