"""Scores of single examples, and the metrics that they sum up to."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelkeep.domain import checks, errors, evaluations, limits, significance


@dataclass(frozen=True, slots=True)
class ScoreSet:
    """What single examples scored in one metric; as many values as example ids."""

    metric: str
    direction: evaluations.Direction
    example_ids: tuple[str, ...]
    values: tuple[float, ...]
    slice: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("metric", self.metric, limits.NAME_CHARS, least=1)
            found.text("slice", self.slice, limits.NAME_CHARS)
            found.text("unit", self.unit, limits.TOKEN_CHARS)
            found.size("example_ids", self.example_ids, limits.SCORES, least=1)
            counts = f"has {len(self.values):,} entries, example_ids has {len(self.example_ids):,}"
            found.require(len(self.values) == len(self.example_ids), "values", counts)
            self._check_values(found)
            self._check_ids(found)

    def _check_values(self, found: checks.Checks) -> None:
        for n, value in enumerate(self.values[: limits.SCORES]):
            if not abs(value) <= limits.MEASURED:
                evaluations.require_finite(found, f"values[{n}]", value)

    def _check_ids(self, found: checks.Checks) -> None:
        seen: set[str] = set()
        for n, example in enumerate(self.example_ids[: limits.SCORES]):
            at = f"example_ids[{n}]"
            found.text(at, example, limits.NAME_CHARS, least=1)
            found.require(example not in seen, at, f"{checks.shown(example)} is there twice")
            seen.add(example)


def summarised(sets: Sequence[ScoreSet]) -> tuple[evaluations.Scored, ...]:
    """The metrics of these scores: each set's own, and for each name that of all its examples.

    An example may be in several slices, with the same score. Raises `errors.InvalidArgument`.
    """
    total = sum(len(one.example_ids) for one in sets)
    if total > limits.SCORES:
        raise errors.invalid(f"has {total:,} scores; at most {limits.SCORES:,} are allowed")
    whole = {one.metric for one in sets if not one.slice}
    sliced = [one for one in sets if one.metric not in whole]
    unions = [_union(name, sliced) for name in dict.fromkeys(one.metric for one in sliced)]
    return tuple(_summary(one) for one in (*unions, *sets))


def _union(name: str, sets: Iterable[ScoreSet]) -> ScoreSet:
    """All examples of a metric, each once."""
    scores: dict[str, float] = {}
    own = [one for one in sets if one.metric == name]
    for one in own:
        for example, value in zip(one.example_ids, one.values, strict=True):
            if scores.setdefault(example, value) != value:
                raise errors.invalid(
                    f"give example {checks.shown(example)} two scores in {checks.shown(name)}"
                )
    first = own[0]
    return ScoreSet(name, first.direction, tuple(scores), tuple(scores.values()), "", first.unit)


def _summary(one: ScoreSet) -> evaluations.Scored:
    """Mean, count and standard error (of the mean: deviation / sqrt(n)) of a set."""
    by_example = sorted(zip(one.example_ids, one.values, strict=True))
    values = tuple(value for _, value in by_example)
    count, mean = len(values), math.fsum(one.values) / len(values)
    is_proportion = significance.is_binary(values)
    spread = None
    if count > 1 and not is_proportion:
        spread = significance.error_of_mean(values)
    metric = evaluations.Metric(
        name=one.metric,
        value=mean,
        direction=one.direction,
        slice=one.slice,
        unit=one.unit,
        sample_count=count,
        standard_error=spread,
        is_proportion=is_proportion,
        examples=digest_of(example for example, _ in by_example),
    )
    return evaluations.Scored(metric, values)


def digest_of(example_ids: Iterable[str]) -> str:
    """What tells a set of examples from others: SHA-256 of their sorted ids, one in a line."""
    text = "\n".join(example_ids)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
