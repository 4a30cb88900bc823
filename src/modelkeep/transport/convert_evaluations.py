"""Crossings of evaluations and of comparisons."""

import datetime
import math
from functools import partial

from modelkeep.domain import checks, comparison, evaluations, limits, scores, significance
from modelkeep.transport import convert
from modelkeep.v1 import evaluation_service_pb2 as pb

DIRECTIONS: dict[int, evaluations.Direction] = {
    pb.METRIC_DIRECTION_HIGHER: evaluations.Direction.HIGHER,
    pb.METRIC_DIRECTION_LOWER: evaluations.Direction.LOWER,
}
_VERDICTS: dict[int, comparison.Verdict] = {
    pb.COMPARISON_VERDICT_BETTER: comparison.Verdict.BETTER,
    pb.COMPARISON_VERDICT_WORSE: comparison.Verdict.WORSE,
    pb.COMPARISON_VERDICT_SAME: comparison.Verdict.SAME,
    pb.COMPARISON_VERDICT_UNTESTED: comparison.Verdict.UNTESTED,
    pb.COMPARISON_VERDICT_NOT_COMPARABLE: comparison.Verdict.NOT_COMPARABLE,
}
_TESTS: dict[int, significance.Test] = {
    pb.SIGNIFICANCE_TEST_PAIRED_T: significance.Test.PAIRED_T,
    pb.SIGNIFICANCE_TEST_MCNEMAR_EXACT: significance.Test.MCNEMAR_EXACT,
    pb.SIGNIFICANCE_TEST_TWO_PROPORTION_Z: significance.Test.TWO_PROPORTION_Z,
    pb.SIGNIFICANCE_TEST_FISHER_EXACT: significance.Test.FISHER_EXACT,
    pb.SIGNIFICANCE_TEST_WELCH_T: significance.Test.WELCH_T,
    pb.SIGNIFICANCE_TEST_INTERVAL_Z: significance.Test.INTERVAL_Z,
    pb.SIGNIFICANCE_TEST_SIGN_EXACT: significance.Test.SIGN_EXACT,
}


def report_from_wire(
    evaluation: pb.Evaluation, figures: tuple[evaluations.Scored, ...]
) -> evaluations.Report:
    """What is to be recorded, these figures included, or `errors.InvalidArgument`."""
    found = checks.Checks()
    wire = evaluation.dataset
    dataset = found.make(
        "dataset", partial(evaluations.Dataset, wire.name, wire.revision, wire.digest)
    )
    metrics = found.make_each("metrics", (partial(_metric, m) for m in evaluation.metrics))
    run_at = now = datetime.datetime.now(datetime.UTC)
    if evaluation.HasField("run_time"):
        run_at = found.make("run_time", partial(convert.timestamp_from_wire, evaluation.run_time))
    all_figures = (*map(evaluations.Scored, metrics), *figures)
    suite, evaluator, note = evaluation.suite, evaluation.evaluator, evaluation.note
    return found.finish(
        lambda: evaluations.Report(dataset, suite, evaluator, run_at or now, all_figures, note)
    )


def _metric(metric: pb.EvaluationMetric) -> evaluations.Metric:
    found = checks.Checks()
    direction = _direction(found, metric.direction)
    return found.finish(
        lambda: evaluations.Metric(
            name=metric.name,
            value=metric.value,
            direction=direction,
            slice=metric.slice,
            unit=metric.unit,
            sample_count=metric.sample_count if metric.HasField("sample_count") else None,
            standard_error=metric.standard_error if metric.HasField("standard_error") else None,
            ci_low=metric.ci_low if metric.HasField("ci_low") else None,
            ci_high=metric.ci_high if metric.HasField("ci_high") else None,
            ci_level=metric.ci_level or evaluations.CI_LEVEL,
            is_proportion=metric.proportion,
        )
    )


def _direction(found: checks.Checks, number: int) -> evaluations.Direction:
    return found.make("direction", partial(convert.enum_from_wire, number, DIRECTIONS))


def score_set_from_wire(wire: pb.ScoreSet) -> scores.ScoreSet:
    """Scores of single examples, or `errors.InvalidArgument`."""
    found = checks.Checks()
    direction = _direction(found, wire.direction)
    ids, values = tuple(wire.example_ids), tuple(wire.values)
    return found.finish(
        lambda: scores.ScoreSet(wire.metric, direction, ids, values, wire.slice, wire.unit)
    )


def evaluation_to_wire(evaluation: evaluations.Evaluation) -> pb.Evaluation:
    """An evaluation for the wire."""
    dataset = evaluation.dataset
    return pb.Evaluation(
        name=str(evaluation.name),
        dataset=pb.EvaluationDataset(
            name=dataset.name, revision=dataset.revision, digest=dataset.digest
        ),
        suite=evaluation.suite,
        evaluator=evaluation.evaluator,
        run_time=convert.timestamp_to_wire(evaluation.run_at),
        metrics=map(_metric_to_wire, evaluation.metrics),
        metric_count=evaluation.metric_count,
        note=evaluation.note,
        actor=evaluation.actor,
        create_time=convert.timestamp_to_wire(evaluation.created_at),
        supersedes=str(evaluation.supersedes or ""),
        superseded_by=str(evaluation.superseded_by or ""),
    )


def _metric_to_wire(metric: evaluations.Metric) -> pb.EvaluationMetric:
    return pb.EvaluationMetric(
        name=metric.name,
        value=metric.value,
        slice=metric.slice,
        direction=convert.enum_to_wire(metric.direction, DIRECTIONS),  # type: ignore[arg-type]
        unit=metric.unit,
        sample_count=metric.sample_count,
        standard_error=metric.standard_error,
        ci_low=metric.ci_low,
        ci_high=metric.ci_high,
        ci_level=metric.ci_level if metric.ci_low is not None else 0,
        proportion=metric.is_proportion,
        examples_digest=metric.examples,
    )


def comparison_to_wire(found: comparison.Comparison) -> pb.Comparison:
    """A comparison for the wire, of at most `limits.COMPARISON_BYTES` or so."""
    wire = pb.Comparison(
        baseline=str(found.baseline),
        versions=map(str, found.versions),
        dataset=found.dataset,
        significance=found.significance,
        evaluations=map(evaluation_to_wire, found.runs),
        slices_tested=found.slices_tested,
    )
    for one in found.unmatched:
        wire.unmatched.add(version=str(one.version), suite=one.suite, reason=one.reason)
    left_bytes = limits.COMPARISON_BYTES - wire.ByteSize()
    for line in found.lines:
        made = _line(line)
        left_bytes -= made.ByteSize()
        if left_bytes < 0:
            wire.truncated = True
            break
        wire.metrics.append(made)
    return wire


def _line(line: comparison.Line) -> pb.ComparedMetric:
    return pb.ComparedMetric(
        suite=line.suite,
        name=line.name,
        slice=line.slice,
        direction=convert.enum_to_wire(line.direction, DIRECTIONS),  # type: ignore[arg-type]
        unit=line.unit,
        baseline=figure_to_wire(line.baseline),
        candidates=map(candidate_to_wire, line.candidates),
    )


def figure_to_wire(metric: evaluations.Metric | None) -> pb.ComparedFigure | None:
    """A figure with how sure it is, or None."""
    if metric is None:
        return None
    return pb.ComparedFigure(
        value=metric.value,
        sample_count=metric.sample_count,
        standard_error=metric.error,
        ci_low=metric.ci_low,
        ci_high=metric.ci_high,
    )


def _finite(value: float | None) -> float | None:
    """The value, but for the z or t of a difference without any error to speak of."""
    return value if value is None or math.isfinite(value) else None


def candidate_to_wire(candidate: comparison.Candidate) -> pb.ComparedCandidate:
    """A version's figure against the baseline's."""
    wire = pb.ComparedCandidate(
        version=str(candidate.version),
        verdict=convert.enum_to_wire(candidate.verdict, _VERDICTS),  # type: ignore[arg-type]
        figure=figure_to_wire(candidate.metric),
        delta=candidate.delta,
        adjusted_p_value=candidate.adjusted_p_value,
        reason=candidate.reason,
    )
    outcome = candidate.outcome
    if outcome is not None:
        test = convert.enum_to_wire(outcome.test, _TESTS)
        given = pb.ComparedCandidate(
            test=test,  # type: ignore[arg-type]
            statistic=_finite(outcome.statistic),
            degrees_of_freedom=outcome.freedom,
            p_value=outcome.p_value,
            delta_standard_error=outcome.standard_error,
        )
        wire.MergeFrom(given)
    return wire
