"""EvaluationService: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import names
from modelkeep.service import usecases
from modelkeep.transport import convert_evaluations as crossing
from modelkeep.transport import evaluation_requests, page_tokens, requests
from modelkeep.v1 import evaluation_service_pb2 as pb
from modelkeep.v1 import evaluation_service_pb2_grpc as pb_grpc


class EvaluationServicer(pb_grpc.EvaluationServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, registry: usecases.Registry, tokens: page_tokens.PageTokens) -> None:
        self._evaluations = registry.evaluations
        self._comparing = registry.comparing
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
