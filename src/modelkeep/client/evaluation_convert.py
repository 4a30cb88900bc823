"""Crossings of evaluations and comparisons between the wire and the SDK."""

import enum
from typing import Any, TypeVar

from modelkeep.client import comparison_records, convert, evaluation_records, refs
from modelkeep.v1 import evaluation_service_pb2 as pb

_Enum = TypeVar("_Enum", bound=enum.StrEnum)
_CI_LEVEL = 0.95


def report_to_wire(report: evaluation_records.EvaluationReport) -> pb.Evaluation:
    """What a report says, without its scores."""
    dataset = report.dataset
    wire = pb.Evaluation(
        dataset=pb.EvaluationDataset(
            name=dataset.name, revision=dataset.revision, digest=dataset.digest
        ),
        suite=report.suite,
        evaluator=report.evaluator,
        metrics=map(_metric_to_wire, report.metrics),
        note=report.note,
    )
    if report.run_at is not None:
        wire.run_time.CopyFrom(convert.instant_to_wire(report.run_at))
    return wire


def _metric_to_wire(metric: evaluation_records.EvaluationMetric) -> pb.EvaluationMetric:
    return pb.EvaluationMetric(
        name=metric.name,
        value=metric.value,
        slice=metric.slice,
        direction=direction_to_wire(metric.direction),
        unit=metric.unit,
        sample_count=metric.sample_count,
        standard_error=metric.standard_error,
        ci_low=metric.ci_low,
        ci_high=metric.ci_high,
        ci_level=metric.ci_level if metric.ci_low is not None else 0,
        proportion=metric.proportion,
    )


def score_set_to_wire(scores: evaluation_records.ScoreSet) -> pb.ScoreSet:
    """Scores of single examples."""
    return pb.ScoreSet(
        metric=scores.metric,
        direction=direction_to_wire(scores.direction),
        slice=scores.slice,
        unit=scores.unit,
        example_ids=scores.scores.keys(),
        values=scores.scores.values(),
    )


def direction_to_wire(
    direction: evaluation_records.MetricDirection,
) -> pb.MetricDirection.ValueType:
    """The wire's number of a direction."""
    return pb.MetricDirection.Value(f"METRIC_DIRECTION_{direction.upper()}")


def member(kind: type[_Enum], numbered: Any, number: int, prefix: str) -> _Enum:
    """The member of that number; UNSPECIFIED for one a newer server invented."""
    words = {value: name.removeprefix(prefix).lower() for name, value in numbered.items()}
    known = {member.value: member for member in kind}
    return known.get(words.get(number, ""), known["unspecified"])


def direction_from_wire(number: int) -> evaluation_records.MetricDirection:
    """The direction of that number."""
    kind = evaluation_records.MetricDirection
    return member(kind, pb.MetricDirection, number, "METRIC_DIRECTION_")


def evaluation_from_wire(wire: pb.Evaluation) -> evaluation_records.Evaluation:
    """An evaluation as the server sent it."""
    dataset = wire.dataset
    return evaluation_records.Evaluation(
        name=wire.name,
        dataset=evaluation_records.EvaluationDataset(
            dataset.name, dataset.revision, dataset.digest
        ),
        suite=wire.suite,
        evaluator=wire.evaluator,
        run_at=convert.instant_from_wire(wire, "run_time"),
        metrics=tuple(map(_metric_from_wire, wire.metrics)),
        metric_count=wire.metric_count,
        note=wire.note,
        actor=wire.actor,
        created_at=convert.instant_from_wire(wire, "create_time"),
        supersedes=wire.supersedes,
        superseded_by=wire.superseded_by,
    )


def _metric_from_wire(wire: pb.EvaluationMetric) -> evaluation_records.EvaluationMetric:
    return evaluation_records.EvaluationMetric(
        name=wire.name,
        value=wire.value,
        direction=direction_from_wire(wire.direction),
        slice=wire.slice,
        unit=wire.unit,
        sample_count=_stated(wire, "sample_count"),
        standard_error=_stated(wire, "standard_error"),
        ci_low=_stated(wire, "ci_low"),
        ci_high=_stated(wire, "ci_high"),
        ci_level=wire.ci_level or _CI_LEVEL,
        proportion=wire.proportion,
        examples_digest=wire.examples_digest,
    )


def comparison_from_wire(wire: pb.Comparison) -> comparison_records.Comparison:
    """A comparison as the server sent it."""
    return comparison_records.Comparison(
        baseline=refs.from_name(wire.baseline),
        versions=tuple(map(refs.from_name, wire.versions)),
        dataset=wire.dataset,
        significance=wire.significance,
        evaluations=tuple(map(evaluation_from_wire, wire.evaluations)),
        metrics=tuple(map(_compared, wire.metrics)),
        unmatched=tuple(
            comparison_records.UnmatchedVersion(
                version=refs.from_name(one.version), suite=one.suite, reason=one.reason
            )
            for one in wire.unmatched
        ),
        slices_tested=wire.slices_tested,
        truncated=wire.truncated,
    )


def _compared(wire: pb.ComparedMetric) -> comparison_records.ComparedMetric:
    return comparison_records.ComparedMetric(
        suite=wire.suite,
        name=wire.name,
        slice=wire.slice,
        direction=direction_from_wire(wire.direction),
        unit=wire.unit,
        baseline=figure_from_wire(wire, "baseline"),
        candidates=tuple(map(candidate_from_wire, wire.candidates)),
    )


def candidate_from_wire(wire: pb.ComparedCandidate) -> comparison_records.ComparedCandidate:
    """A figure against the baseline's."""
    verdicts = comparison_records.ComparisonVerdict
    tests = comparison_records.SignificanceTest
    return comparison_records.ComparedCandidate(
        version=refs.from_name(wire.version),
        verdict=member(verdicts, pb.ComparisonVerdict, wire.verdict, "COMPARISON_VERDICT_"),
        figure=figure_from_wire(wire, "figure"),
        delta=_stated(wire, "delta"),
        delta_standard_error=_stated(wire, "delta_standard_error"),
        test=member(tests, pb.SignificanceTest, wire.test, "SIGNIFICANCE_TEST_"),
        statistic=_stated(wire, "statistic"),
        degrees_of_freedom=_stated(wire, "degrees_of_freedom"),
        p_value=_stated(wire, "p_value"),
        adjusted_p_value=_stated(wire, "adjusted_p_value"),
        reason=wire.reason,
    )


def figure_from_wire(owner: Any, field: str) -> comparison_records.ComparedFigure | None:
    """The figure in that field, or None if it is not set."""
    if not owner.HasField(field):
        return None
    wire = getattr(owner, field)
    return comparison_records.ComparedFigure(
        value=wire.value,
        sample_count=_stated(wire, "sample_count"),
        standard_error=_stated(wire, "standard_error"),
        ci_low=_stated(wire, "ci_low"),
        ci_high=_stated(wire, "ci_high"),
    )


def _stated(wire: Any, field: str) -> Any:
    return getattr(wire, field) if wire.HasField(field) else None
