"""Crossings of the requests that judge: plans, recommendations, regression checks."""

from functools import partial

from modelkeep.domain import (
    checks,
    comparison,
    evaluation_plans,
    evaluations,
    limits,
    names,
    recommending,
    refs,
    regression,
)
from modelkeep.service import changes
from modelkeep.transport import (
    convert,
    convert_evaluations,
    convert_judgements,
    evaluation_requests,
)
from modelkeep.v1 import evaluation_service_pb2 as pb


def set_plan(
    request: pb.SetEvaluationPlanRequest,
) -> tuple[changes.Once, names.ModelName, evaluation_plans.Plan, str]:
    """Arguments of `EvaluationPlans.set`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "SetEvaluationPlan", request))
        model = found.make("plan.name", partial(evaluation_plans.model_of, request.plan.name))
        convert.check_etag(found, "plan.etag", request.plan.etag)
        plan = found.make("plan", partial(convert_judgements.plan_from_wire, request.plan))
    return once, model, plan, request.plan.etag


def recommend(request: pb.RecommendVersionRequest) -> recommending.Question:
    """Argument of `Recommending.recommend`."""
    found = checks.Checks()
    model = found.make("parent", partial(names.ModelName.parse, request.parent))
    most = limits.COMPARED_VERSIONS + 1
    candidates = found.make_each(
        "candidates", (partial(refs.parse, ref) for ref in request.candidates[:most])
    )
    said = ("", "")
    if request.dataset:
        said = found.make("dataset", partial(evaluations.dataset_of, request.dataset))
    with found:
        pass
    dataset, revision = said
    level = request.significance or comparison.SIGNIFICANCE
    return recommending.Question(model, request.stage, candidates, dataset, revision, level)


def check_regression(request: pb.CheckRegressionRequest) -> regression.Question:
    """Argument of `Regressions.check`."""
    with checks.Checks() as found:
        ref = found.make("ref", partial(refs.parse, request.ref))
        baseline = found.make("baseline_ref", partial(refs.parse, request.baseline_ref))
        comes = request.HasField("evaluation") or bool(request.score_sets)
        results = _results(found, request) if comes else None
        place = _place(found, request, comes=comes)
        tolerated = found.make_each(
            "tolerances",
            (
                partial(convert_judgements.tolerance_from_wire, one)
                for one in request.tolerances[: limits.TOLERANCES + 1]
            ),
        )
        level = request.significance or comparison.SIGNIFICANCE
        rules = found.make(
            "",
            partial(regression.Rules, tolerated, request.allow_missing, request.strict, level),
        )
    dataset, revision = place
    suite = results.suite if results else request.suite
    return regression.Question(ref, request.ref, baseline, results, dataset, revision, suite, rules)


def _results(found: checks.Checks, request: pb.CheckRegressionRequest) -> evaluations.Report | None:
    """What was measured and comes with the request."""
    some = bool(request.evaluation.metrics or request.score_sets)
    found.require(some, "evaluation.metrics", "must not be empty, unless there are score_sets")
    figures = found.make("score_sets", partial(evaluation_requests.figures, request.score_sets))
    return found.make(
        "evaluation",
        partial(convert_evaluations.report_from_wire, request.evaluation, figures or ()),
    )


def _place(
    found: checks.Checks, request: pb.CheckRegressionRequest, *, comes: bool
) -> tuple[str, str]:
    """Name and revision of the dataset."""
    if not comes:
        return found.make("dataset", partial(evaluations.dataset_of, request.dataset))
    for field in ("dataset", "suite"):
        empty = not getattr(request, field)
        found.require(empty, field, f"must be empty: the evaluation has its {field}")
    return request.evaluation.dataset.name, request.evaluation.dataset.revision
