"""Crossings of evaluation plans, recommendations and regression reports."""

from functools import partial

from modelkeep.domain import (
    checks,
    evaluation_plans,
    evaluations,
    limits,
    recommending,
    regression,
    tolerances,
)
from modelkeep.transport import convert, convert_evaluations
from modelkeep.v1 import evaluation_service_pb2 as pb

_OUTCOMES: dict[int, recommending.Outcome] = {
    pb.CANDIDATE_OUTCOME_RECOMMENDED: recommending.Outcome.RECOMMENDED,
    pb.CANDIDATE_OUTCOME_PASSED_OVER: recommending.Outcome.PASSED_OVER,
    pb.CANDIDATE_OUTCOME_RULED_OUT: recommending.Outcome.RULED_OUT,
    pb.CANDIDATE_OUTCOME_NOT_COMPARABLE: recommending.Outcome.NOT_COMPARABLE,
}
_FOUND: dict[int, regression.Outcome] = {
    pb.REGRESSION_OUTCOME_HELD: regression.Outcome.HELD,
    pb.REGRESSION_OUTCOME_REGRESSED: regression.Outcome.REGRESSED,
    pb.REGRESSION_OUTCOME_NOT_COMPARABLE: regression.Outcome.NOT_COMPARABLE,
    pb.REGRESSION_OUTCOME_NEW: regression.Outcome.NEW,
}


def tolerance_from_wire(wire: pb.MetricTolerance) -> tolerances.Tolerance:
    """How much worse a figure may be, or `errors.InvalidArgument`."""
    return tolerances.Tolerance(wire.metric, wire.slice, wire.tolerance, wire.relative, wire.strict)


def plan_from_wire(wire: pb.EvaluationPlan) -> evaluation_plans.Plan:
    """What versions are judged by, or `errors.InvalidArgument`."""
    found = checks.Checks()
    numbers = convert_evaluations.DIRECTIONS
    direction = found.make("direction", partial(convert.enum_from_wire, wire.direction, numbers))
    dataset = found.make("dataset", partial(evaluations.dataset_of, wire.dataset))
    guards = found.make_each(
        "guards",
        (partial(tolerance_from_wire, one) for one in wire.guards[: limits.TOLERANCES + 1]),
    )
    with found:
        pass
    name, revision = dataset
    return evaluation_plans.Plan(
        wire.metric, direction, name, revision, wire.slice, wire.suite, guards
    )


def plan_to_wire(settled: evaluation_plans.Settled) -> pb.EvaluationPlan:
    """A plan for the wire."""
    plan = settled.plan
    return pb.EvaluationPlan(
        name=evaluation_plans.name_of(settled.model),
        metric=plan.metric,
        slice=plan.slice,
        direction=_direction(plan.direction),
        dataset=plan.place,
        suite=plan.suite,
        guards=(
            pb.MetricTolerance(
                metric=one.metric,
                slice=one.slice,
                tolerance=one.tolerance,
                relative=one.is_relative,
                strict=one.is_strict,
            )
            for one in plan.guards
        ),
        actor=settled.actor,
        update_time=convert.timestamp_to_wire(settled.updated_at),
        etag=settled.etag,
    )


def _direction(direction: evaluations.Direction) -> pb.MetricDirection.ValueType:
    return convert.enum_to_wire(  # type: ignore[return-value]
        direction, convert_evaluations.DIRECTIONS
    )


def recommendation_to_wire(
    settled: evaluation_plans.Settled, found: recommending.Recommendation
) -> pb.Recommendation:
    """A recommendation for the wire."""
    return pb.Recommendation(
        model=str(settled.model),
        stage=found.stage,
        version=str(found.version or ""),
        summary=found.summary,
        reasons=found.reasons,
        baseline=str(found.baseline or ""),
        dataset=found.dataset,
        plan=plan_to_wire(settled),
        candidates=map(_considered, found.considered),
        significance=found.level,
    )


def _considered(one: recommending.Considered) -> pb.ConsideredCandidate:
    primary = convert_evaluations.candidate_to_wire(one.primary) if one.primary else None
    return pb.ConsideredCandidate(
        version=str(one.version),
        outcome=convert.enum_to_wire(one.outcome, _OUTCOMES),  # type: ignore[arg-type]
        reasons=one.reasons,
        primary=primary,
    )


def report_to_wire(report: regression.Report) -> pb.RegressionReport:
    """A regression report for the wire, of at most `limits.COMPARISON_BYTES` or so.

    What failed is always told: the figures of two evaluations at most, and it comes first.
    """
    wire = pb.RegressionReport(
        ref=report.ref,
        baseline=str(report.baseline or ""),
        dataset=report.dataset,
        passed=report.passed,
        summary=report.summary,
        significance=report.significance,
        slices_tested=report.slices_tested,
    )
    left_bytes = limits.COMPARISON_BYTES - wire.ByteSize()
    for check in report.checks:
        made = _check(check, report.ref)
        left_bytes -= made.ByteSize()
        if left_bytes < 0:
            wire.truncated = True
            break
        wire.checks.append(made)
    return wire


def _check(check: regression.Check, ref: str) -> pb.RegressionCheck:
    wire = pb.RegressionCheck(
        suite=check.suite,
        metric=check.metric,
        slice=check.slice,
        outcome=convert.enum_to_wire(check.outcome, _FOUND),  # type: ignore[arg-type]
        sentence=check.sentence,
        failed=check.failed,
        tolerance=check.tolerance,
    )
    if check.line is not None:
        wire.direction = _direction(check.line.direction)
        wire.unit = check.line.unit
        before = convert_evaluations.figure_to_wire(check.line.baseline)
        if before is not None:
            wire.baseline.CopyFrom(before)
        for one in check.line.candidates[:1]:
            wire.candidate.CopyFrom(convert_evaluations.candidate_to_wire(one))
            wire.candidate.version = ref
    return wire
