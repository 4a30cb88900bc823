"""LifecycleService: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.service import usecases
from modelkeep.transport import (
    convert_gates,
    convert_histories,
    gates,
    page_tokens,
    requests,
    transitions,
)
from modelkeep.transport import convert_registry as crossing
from modelkeep.v1 import lifecycle_service_pb2 as pb
from modelkeep.v1 import lifecycle_service_pb2_grpc as pb_grpc


class LifecycleServicer(
    transitions.TransitionServicer, gates.GateServicer, pb_grpc.LifecycleServiceServicer
):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, registry: usecases.Registry, tokens: page_tokens.PageTokens) -> None:
        self._lifecycle = registry.lifecycle
        self._histories = registry.histories
        self._gate_policies = registry.gate_policies
        self._transitions = registry.transitions
        self._verdicts = registry.transition_verdicts
        self._committing = registry.committing
        self._tokens = tokens

    async def SetStage(self, request: pb.SetStageRequest, context: Any) -> pb.SetStageResponse:
        asked = requests.set_stage(request)
        move = await self._lifecycle.set_stage(
            callers.current(), *asked, bypass_gates=request.bypass_gates
        )
        response = pb.SetStageResponse(
            version=crossing.version_to_wire(move.version), displaced_version=move.displaced
        )
        if move.report is not None:
            response.gates.CopyFrom(convert_gates.report_to_wire(move.version.name, move.report))
        return response

    async def ReleaseVersion(
        self, request: pb.ReleaseVersionRequest, context: Any
    ) -> pb.ReleaseVersionResponse:
        version = await self._lifecycle.release(
            callers.current(), *requests.release_version(request)
        )
        return pb.ReleaseVersionResponse(version=crossing.version_to_wire(version))

    async def GetStageHistory(
        self, request: pb.GetStageHistoryRequest, context: Any
    ) -> pb.GetStageHistoryResponse:
        asked = requests.history(self._tokens, request)
        page = await self._histories.list_stages(callers.current(), *asked)
        response = pb.GetStageHistoryResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.assignments, convert_histories.stage_assignment_to_wire
        )
        return response
