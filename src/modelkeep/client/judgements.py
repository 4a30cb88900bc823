"""Calls that judge versions by what was measured: plans, recommendations, regression checks."""

from collections.abc import Sequence

from modelkeep.client import (
    calls,
    connection,
    evaluation_convert,
    evaluation_records,
    judgement_convert,
    judgement_records,
    refs,
)
from modelkeep.v1 import evaluation_service_pb2 as pb

_JUDGE_TIMEOUT_S = 120.0
"""Thousands of figures, some of them with the scores of all their examples."""


class JudgementCalls(connection.Connection):
    """Say what versions are judged by, and have them judged."""

    async def set_evaluation_plan(
        self, model: str, plan: judgement_records.EvaluationPlan
    ) -> judgement_records.EvaluationPlan:
        """Say what a model's versions are judged by, in place of what was said before.

        With the `etag` of a plan that was read, only if nobody changed it since (Conflict).
        """
        request = pb.SetEvaluationPlanRequest(
            plan=judgement_convert.plan_to_wire(refs.parse_model(model), plan),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._evaluations.SetEvaluationPlan, request)
        return judgement_convert.plan_from_wire(response.plan)

    async def get_evaluation_plan(self, model: str) -> judgement_records.EvaluationPlan:
        """What a model's versions are judged by; raises NotFound if nobody has said."""
        name = judgement_convert.plan_name(refs.parse_model(model))
        request = pb.GetEvaluationPlanRequest(name=name)
        response = await self._call(self._evaluations.GetEvaluationPlan, request)
        return judgement_convert.plan_from_wire(response.plan)

    async def recommend_version(
        self,
        model: str,
        stage: str = "production",
        *,
        candidates: Sequence[str] = (),
        dataset: str = "",
        significance: float = 0.0,
    ) -> judgement_records.Recommendation:
        """Which version to move to a stage, by the model's plan, and why; none is an answer.

        Args:
            model: `acme/voice`.
            stage: `staging` or `production`.
            candidates: `acme/voice@1.2.0` or `@1.2.0`; else the newest that may move there.
            dataset: instead of the plan's.
            significance: below which p-value a difference counts as real; 0.05 if 0.

        Raises:
            Refused: nobody has said what versions of the model are judged by.
        """
        owner = refs.parse_model(model)
        request = pb.RecommendVersionRequest(
            parent=owner.model_name,
            stage=stage,
            candidates=[within(owner, text) for text in candidates],
            dataset=dataset,
            significance=significance,
        )
        response = await self._call(
            self._evaluations.RecommendVersion, request, timeout_s=_JUDGE_TIMEOUT_S
        )
        return judgement_convert.recommendation_from_wire(response.recommendation)

    async def check_regression(
        self,
        ref: str,
        baseline: str,
        *,
        results: evaluation_records.EvaluationReport | None = None,
        dataset: str = "",
        suite: str = "",
        tolerances: Sequence[judgement_records.MetricTolerance] = (),
        allow_missing: bool = False,
        strict: bool = False,
        significance: float = 0.0,
    ) -> judgement_records.RegressionReport:
        """Whether results are as good as a baseline's; nothing is recorded.

        Args:
            ref: `acme/voice@1.3.0`; with `results` it need not exist, and `acme/voice` will do.
            baseline: `acme/voice@production`, or `@production` of the same model.
            results: what was measured; None for what is recorded of `ref`.
            dataset: without results, `name@revision` or `name`.
            suite: without results, only by this suite.
            tolerances: how much worse figures may be; those that are not named not at all.
            allow_missing: whether what is missing or does not compare is let pass.
            strict: whether getting worse is too much even where chance could have done it.
            significance: below which p-value a difference counts as real; 0.05 if 0.
        """
        owner = refs.parse_selection(ref)
        request = pb.CheckRegressionRequest(
            ref=str(owner),
            baseline_ref=within(owner, baseline),
            dataset=dataset,
            suite=suite,
            tolerances=map(judgement_convert.tolerance_to_wire, tolerances),
            allow_missing=allow_missing,
            strict=strict,
            significance=significance,
        )
        if results is not None:
            request.evaluation.CopyFrom(evaluation_convert.report_to_wire(results))
            request.score_sets.extend(map(evaluation_convert.score_set_to_wire, results.score_sets))
        response = await self._call(
            self._evaluations.CheckRegression, request, timeout_s=_JUDGE_TIMEOUT_S
        )
        return judgement_convert.report_from_wire(response.report)


def within(owner: refs.Ref, text: str) -> str:
    """The reference, completed by the owner's model if it begins with `@`; or BadReference."""
    whole = f"{owner.namespace}/{owner.model}{text}" if text.startswith("@") else text
    return str(refs.parse_selection(whole))
