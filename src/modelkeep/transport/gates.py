"""The part of LifecycleService that is about gates: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import names
from modelkeep.service import gate_policies
from modelkeep.transport import convert_gates as crossing
from modelkeep.transport import gate_requests, page_tokens, requests
from modelkeep.v1 import lifecycle_service_pb2 as pb


class GateServicer:
    """Turns requests into domain values, calls one service method, turns its answer back."""

    _gate_policies: gate_policies.GatePolicies
    _tokens: page_tokens.PageTokens

    async def SetGatePolicy(
        self, request: pb.SetGatePolicyRequest, context: Any
    ) -> pb.SetGatePolicyResponse:
        asked = gate_requests.set_policy(request)
        policy = await self._gate_policies.set_policy(
            callers.current(), *asked, dry_run=request.validate_only
        )
        return pb.SetGatePolicyResponse(policy=crossing.policy_to_wire(policy))

    async def GetGatePolicy(
        self, request: pb.GetGatePolicyRequest, context: Any
    ) -> pb.GetGatePolicyResponse:
        name = requests.name_of(names.GatePolicyName.parse, request)
        policy = await self._gate_policies.get(callers.current(), name)
        return pb.GetGatePolicyResponse(policy=crossing.policy_to_wire(policy))

    async def ListGatePolicies(
        self, request: pb.ListGatePoliciesRequest, context: Any
    ) -> pb.ListGatePoliciesResponse:
        asked = gate_requests.listing(self._tokens, request)
        page = await self._gate_policies.list(callers.current(), *asked)
        response = pb.ListGatePoliciesResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.policies, crossing.policy_to_wire
        )
        return response

    async def DeleteGatePolicy(
        self, request: pb.DeleteGatePolicyRequest, context: Any
    ) -> pb.DeleteGatePolicyResponse:
        asked = requests.by_etag("DeleteGatePolicy", names.GatePolicyName.parse, request)
        await self._gate_policies.delete(callers.current(), *asked)
        return pb.DeleteGatePolicyResponse()

    async def EvaluateGates(
        self, request: pb.EvaluateGatesRequest, context: Any
    ) -> pb.EvaluateGatesResponse:
        name, stage = gate_requests.evaluate(request)
        report = await self._gate_policies.evaluate(callers.current(), name, stage)
        return pb.EvaluateGatesResponse(report=crossing.report_to_wire(name, report))
