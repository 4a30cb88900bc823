"""Crossings of plans, recommendations and regression reports between the wire and the SDK."""

from collections.abc import Iterable

from modelkeep.client import convert, evaluation_convert, judgement_records, refs
from modelkeep.v1 import evaluation_service_pb2 as pb


def tolerance_to_wire(tolerance: judgement_records.MetricTolerance) -> pb.MetricTolerance:
    """How much worse a figure may be."""
    return pb.MetricTolerance(
        metric=tolerance.metric,
        slice=tolerance.slice,
        tolerance=tolerance.tolerance,
        relative=tolerance.relative,
        strict=tolerance.strict,
    )


def plan_to_wire(model: refs.Ref, plan: judgement_records.EvaluationPlan) -> pb.EvaluationPlan:
    """What the versions of a model are judged by."""
    return pb.EvaluationPlan(
        name=plan_name(model),
        metric=plan.metric,
        slice=plan.slice,
        direction=evaluation_convert.direction_to_wire(plan.direction),
        dataset=plan.dataset,
        suite=plan.suite,
        guards=map(tolerance_to_wire, plan.guards),
        etag=plan.etag,
    )


def plan_name(model: refs.Ref) -> str:
    """`namespaces/{namespace}/models/{model}/evaluationPlan`."""
    return f"{model.model_name}/evaluationPlan"


def plan_from_wire(wire: pb.EvaluationPlan) -> judgement_records.EvaluationPlan:
    """A plan as the server sent it."""
    return judgement_records.EvaluationPlan(
        metric=wire.metric,
        direction=evaluation_convert.direction_from_wire(wire.direction),
        dataset=wire.dataset,
        slice=wire.slice,
        suite=wire.suite,
        guards=tuple(_tolerances(wire.guards)),
        actor=wire.actor,
        updated_at=convert.instant_from_wire(wire, "update_time"),
        etag=wire.etag,
    )


def _tolerances(
    wire: Iterable[pb.MetricTolerance],
) -> Iterable[judgement_records.MetricTolerance]:
    for one in wire:
        yield judgement_records.MetricTolerance(
            metric=one.metric,
            slice=one.slice,
            tolerance=one.tolerance,
            relative=one.relative,
            strict=one.strict,
        )


def recommendation_from_wire(wire: pb.Recommendation) -> judgement_records.Recommendation:
    """A recommendation as the server sent it."""
    return judgement_records.Recommendation(
        model=refs.from_name(wire.model),
        stage=wire.stage,
        version=refs.from_name(wire.version) or None,
        summary=wire.summary,
        reasons=tuple(wire.reasons),
        baseline=refs.from_name(wire.baseline) or None,
        dataset=wire.dataset,
        plan=plan_from_wire(wire.plan),
        candidates=tuple(map(_considered, wire.candidates)),
        significance=wire.significance,
    )


def _considered(wire: pb.ConsideredCandidate) -> judgement_records.ConsideredCandidate:
    has_figure = wire.HasField("primary")
    return judgement_records.ConsideredCandidate(
        version=refs.from_name(wire.version),
        outcome=evaluation_convert.member(
            judgement_records.CandidateOutcome,
            pb.CandidateOutcome,
            wire.outcome,
            "CANDIDATE_OUTCOME_",
        ),
        reasons=tuple(wire.reasons),
        primary=evaluation_convert.candidate_from_wire(wire.primary) if has_figure else None,
    )


def report_from_wire(wire: pb.RegressionReport) -> judgement_records.RegressionReport:
    """A regression report as the server sent it."""
    return judgement_records.RegressionReport(
        ref=wire.ref,
        baseline=refs.from_name(wire.baseline) or None,
        dataset=wire.dataset,
        passed=wire.passed,
        summary=wire.summary,
        checks=tuple(map(_check, wire.checks)),
        significance=wire.significance,
        slices_tested=wire.slices_tested,
        truncated=wire.truncated,
    )


def _check(wire: pb.RegressionCheck) -> judgement_records.RegressionCheck:
    has_figure = wire.HasField("candidate")
    return judgement_records.RegressionCheck(
        suite=wire.suite,
        metric=wire.metric,
        slice=wire.slice,
        direction=evaluation_convert.direction_from_wire(wire.direction),
        unit=wire.unit,
        outcome=evaluation_convert.member(
            judgement_records.RegressionOutcome,
            pb.RegressionOutcome,
            wire.outcome,
            "REGRESSION_OUTCOME_",
        ),
        sentence=wire.sentence,
        failed=wire.failed,
        baseline=evaluation_convert.figure_from_wire(wire, "baseline"),
        candidate=evaluation_convert.candidate_from_wire(wire.candidate) if has_figure else None,
        tolerance=wire.tolerance,
    )
