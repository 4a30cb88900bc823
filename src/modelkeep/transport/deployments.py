"""DeploymentService: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import names
from modelkeep.service import usecases
from modelkeep.transport import convert_deployments as crossing
from modelkeep.transport import deployment_requests, page_tokens, requests
from modelkeep.v1 import deployment_service_pb2 as pb
from modelkeep.v1 import deployment_service_pb2_grpc as pb_grpc


class DeploymentServicer(pb_grpc.DeploymentServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, registry: usecases.Registry, tokens: page_tokens.PageTokens) -> None:
        self._environments = registry.environments
        self._deployments = registry.deployments
        self._rollback = registry.rollback
        self._sheets = registry.sheets
        self._tokens = tokens

    async def CreateEnvironment(
        self, request: pb.CreateEnvironmentRequest, context: Any
    ) -> pb.CreateEnvironmentResponse:
        created = await self._environments.create(
            callers.current(), *deployment_requests.create_environment(request)
        )
        return pb.CreateEnvironmentResponse(environment=crossing.environment_to_wire(created))

    async def GetEnvironment(
        self, request: pb.GetEnvironmentRequest, context: Any
    ) -> pb.GetEnvironmentResponse:
        name = requests.name_of(names.EnvironmentName.parse, request)
        environment = await self._environments.get(callers.current(), name)
        return pb.GetEnvironmentResponse(environment=crossing.environment_to_wire(environment))

    async def ListEnvironments(
        self, request: pb.ListEnvironmentsRequest, context: Any
    ) -> pb.ListEnvironmentsResponse:
        asked = requests.list_within(self._tokens, names.NamespaceName.parse, request)
        page = await self._environments.list(callers.current(), *asked)
        response = pb.ListEnvironmentsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.environments, crossing.environment_to_wire
        )
        return response

    async def UpdateEnvironment(
        self, request: pb.UpdateEnvironmentRequest, context: Any
    ) -> pb.UpdateEnvironmentResponse:
        updated = await self._environments.update(
            callers.current(), *deployment_requests.update_environment(request)
        )
        return pb.UpdateEnvironmentResponse(environment=crossing.environment_to_wire(updated))

    async def DeleteEnvironment(
        self, request: pb.DeleteEnvironmentRequest, context: Any
    ) -> pb.DeleteEnvironmentResponse:
        asked = requests.by_etag("DeleteEnvironment", names.EnvironmentName.parse, request)
        deleted = await self._environments.delete(callers.current(), *asked)
        return pb.DeleteEnvironmentResponse(environment=crossing.environment_to_wire(deleted))

    async def RecordDeployment(
        self, request: pb.RecordDeploymentRequest, context: Any
    ) -> pb.RecordDeploymentResponse:
        recorded = await self._deployments.record(
            callers.current(), *deployment_requests.record(request)
        )
        return pb.RecordDeploymentResponse(
            deployment=crossing.deployment_to_wire(recorded.deployment),
            superseded=recorded.superseded,
        )

    async def EndDeployment(
        self, request: pb.EndDeploymentRequest, context: Any
    ) -> pb.EndDeploymentResponse:
        ended = await self._deployments.end(callers.current(), *deployment_requests.end(request))
        return pb.EndDeploymentResponse(deployment=crossing.deployment_to_wire(ended))

    async def GetDeployment(
        self, request: pb.GetDeploymentRequest, context: Any
    ) -> pb.GetDeploymentResponse:
        name = requests.name_of(names.DeploymentName.parse, request)
        deployment = await self._deployments.get(callers.current(), name)
        return pb.GetDeploymentResponse(deployment=crossing.deployment_to_wire(deployment))

    async def ListDeployments(
        self, request: pb.ListDeploymentsRequest, context: Any
    ) -> pb.ListDeploymentsResponse:
        asked = deployment_requests.listing(self._tokens, request)
        page = await self._deployments.list(callers.current(), *asked)
        response = pb.ListDeploymentsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.deployments, crossing.deployment_to_wire
        )
        return response

    async def GetDeploymentHistory(
        self, request: pb.GetDeploymentHistoryRequest, context: Any
    ) -> pb.GetDeploymentHistoryResponse:
        asked = deployment_requests.history(self._tokens, request)
        page = await self._deployments.history(callers.current(), *asked)
        response = pb.GetDeploymentHistoryResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.deployments, crossing.deployment_to_wire
        )
        return response

    async def RollBackDeployment(
        self, request: pb.RollBackDeploymentRequest, context: Any
    ) -> pb.RollBackDeploymentResponse:
        outcome = await self._rollback.roll_back(
            callers.current(), *deployment_requests.roll_back(request)
        )
        return crossing.rollback_to_wire(outcome)

    async def GetDeploymentSheet(
        self, request: pb.GetDeploymentSheetRequest, context: Any
    ) -> pb.GetDeploymentSheetResponse:
        ref, as_json = deployment_requests.sheet(request)
        version, content = await self._sheets.get(callers.current(), ref, as_json=as_json)
        media_type = "application/json" if as_json else "text/markdown"
        return pb.GetDeploymentSheetResponse(
            version=str(version), content=content, media_type=media_type
        )
