"""EvaluationService: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import evaluation_plans, names
from modelkeep.service import usecases
from modelkeep.transport import convert_evaluations as crossing
from modelkeep.transport import (
    convert_judgements,
    evaluation_requests,
    judgement_requests,
    page_tokens,
    requests,
)
from modelkeep.v1 import evaluation_service_pb2 as pb
from modelkeep.v1 import evaluation_service_pb2_grpc as pb_grpc


class EvaluationServicer(pb_grpc.EvaluationServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, registry: usecases.Registry, tokens: page_tokens.PageTokens) -> None:
        self._evaluations = registry.evaluations
        self._comparing = registry.comparing
        self._plans = registry.evaluation_plans
        self._recommending = registry.recommending
        self._regressions = registry.regressions
        self._tokens = tokens

    async def RecordEvaluation(
        self, request: pb.RecordEvaluationRequest, context: Any
    ) -> pb.RecordEvaluationResponse:
        recorded = await self._evaluations.record(
            callers.current(), *evaluation_requests.record(request)
        )
        return pb.RecordEvaluationResponse(evaluation=crossing.evaluation_to_wire(recorded))

    async def GetEvaluation(
        self, request: pb.GetEvaluationRequest, context: Any
    ) -> pb.GetEvaluationResponse:
        name = requests.name_of(names.EvaluationName.parse, request)
        evaluation = await self._evaluations.get(callers.current(), name)
        return pb.GetEvaluationResponse(evaluation=crossing.evaluation_to_wire(evaluation))

    async def ListEvaluations(
        self, request: pb.ListEvaluationsRequest, context: Any
    ) -> pb.ListEvaluationsResponse:
        asked = evaluation_requests.listing(self._tokens, request)
        page = await self._evaluations.list(callers.current(), *asked)
        response = pb.ListEvaluationsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.evaluations, crossing.evaluation_to_wire
        )
        return response

    async def CompareVersions(
        self, request: pb.CompareVersionsRequest, context: Any
    ) -> pb.CompareVersionsResponse:
        question = evaluation_requests.compare(request)
        found = await self._comparing.compare(callers.current(), question)
        return pb.CompareVersionsResponse(comparison=crossing.comparison_to_wire(found))

    async def SetEvaluationPlan(
        self, request: pb.SetEvaluationPlanRequest, context: Any
    ) -> pb.SetEvaluationPlanResponse:
        settled = await self._plans.set(callers.current(), *judgement_requests.set_plan(request))
        return pb.SetEvaluationPlanResponse(plan=convert_judgements.plan_to_wire(settled))

    async def GetEvaluationPlan(
        self, request: pb.GetEvaluationPlanRequest, context: Any
    ) -> pb.GetEvaluationPlanResponse:
        model = requests.name_of(evaluation_plans.model_of, request)
        settled = await self._plans.get(callers.current(), model)
        return pb.GetEvaluationPlanResponse(plan=convert_judgements.plan_to_wire(settled))

    async def RecommendVersion(
        self, request: pb.RecommendVersionRequest, context: Any
    ) -> pb.RecommendVersionResponse:
        question = judgement_requests.recommend(request)
        settled, found = await self._recommending.recommend(callers.current(), question)
        wire = convert_judgements.recommendation_to_wire(settled, found)
        return pb.RecommendVersionResponse(recommendation=wire)

    async def CheckRegression(
        self, request: pb.CheckRegressionRequest, context: Any
    ) -> pb.CheckRegressionResponse:
        question = judgement_requests.check_regression(request)
        report = await self._regressions.check(callers.current(), question)
        return pb.CheckRegressionResponse(report=convert_judgements.report_to_wire(report))
