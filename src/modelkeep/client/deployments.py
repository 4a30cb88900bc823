"""Calls about deployments: record, end, look back, roll back, sheets."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from modelkeep.client import calls, connection, convert, deployment_records, refs
from modelkeep.v1 import deployment_service_pb2 as pb


class DeploymentCalls(connection.Connection):
    """Record where versions run, and go back."""

    async def record_deployment(
        self,
        version: str,
        environment: str,
        *,
        target: str = "",
        labels: Mapping[str, str] | None = None,
        reason: str = "",
        started_at: datetime | None = None,
    ) -> deployment_records.RecordedDeployment:
        """Record that a version runs in an environment; what ran there of the model is superseded.

        Args:
            version: `acme/voice@1.2.0`.
            environment: its id, `prod` for example.
            target: where exactly.
            labels: key and value pairs.
            reason: why.
            started_at: since when, an aware instant; now if None.

        Raises:
            Refused: the version is not ready, or in a stage that the environment does not take.
        """
        ref = refs.parse_version(version)
        wire = pb.Deployment(
            version=ref.version_name,
            environment=f"{ref.namespace_name}/environments/{environment}",
            target=target,
            labels=labels,
            reason=reason,
        )
        if started_at is not None:
            wire.start_time.CopyFrom(convert.instant_to_wire(started_at))
        request = pb.RecordDeploymentRequest(
            parent=ref.model_name, deployment=wire, request_id=calls.new_request_id()
        )
        response = await self._call(self._deployments.RecordDeployment, request)
        return deployment_records.RecordedDeployment(
            deployment=deployment_records.deployment_from_wire(response.deployment),
            superseded=deployment_records.shortened(response.superseded),
        )

    async def end_deployment(
        self,
        deployment: str,
        outcome: deployment_records.DeploymentOutcome,
        *,
        reason: str,
        ended_at: datetime | None = None,
    ) -> deployment_records.Deployment:
        """Record how a deployment ended: `acme/voice/0123456789abcdef`."""
        request = pb.EndDeploymentRequest(
            name=deployment_records.full_name(deployment),
            outcome=deployment_records.outcome_to_wire(outcome),
            reason=reason,
            request_id=calls.new_request_id(),
        )
        if ended_at is not None:
            request.end_time.CopyFrom(convert.instant_to_wire(ended_at))
        response = await self._call(self._deployments.EndDeployment, request)
        return deployment_records.deployment_from_wire(response.deployment)

    async def get_deployment(self, deployment: str) -> deployment_records.Deployment:
        """Read a deployment: `acme/voice/0123456789abcdef`."""
        request = pb.GetDeploymentRequest(name=deployment_records.full_name(deployment))
        response = await self._call(self._deployments.GetDeployment, request)
        return deployment_records.deployment_from_wire(response.deployment)

    def list_deployments(
        self,
        where: str,
        *,
        environment: str = "",
        version: str = "",
        running: bool = False,
        outcome: deployment_records.DeploymentOutcome | None = None,
        deployer: str = "",
    ) -> AsyncIterator[deployment_records.Deployment]:
        """The deployments of a namespace (`acme`) or a model, the last recorded first."""
        parent = refs.parse_model(where).model_name if "/" in where else _namespace(where)

        async def fetch(token: str) -> tuple[list[deployment_records.Deployment], str]:
            request = pb.ListDeploymentsRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                environment=environment,
                version=version,
                running=running,
                deployer=deployer,
            )
            if outcome is not None:
                request.outcome = deployment_records.outcome_to_wire(outcome)
            page = await self._call(self._deployments.ListDeployments, request)
            entries = map(deployment_records.deployment_from_wire, page.deployments)
            return list(entries), page.next_page_token

        return connection.pages(fetch)

    def deployment_history(
        self, model: str, *, environment: str = "", as_of: datetime | None = None
    ) -> AsyncIterator[deployment_records.Deployment]:
        """What of a model ran, ever or at an aware instant, the last begun first."""
        parent = refs.parse_model(model).model_name

        async def fetch(token: str) -> tuple[list[deployment_records.Deployment], str]:
            request = pb.GetDeploymentHistoryRequest(
                parent=parent,
                environment=environment,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
            )
            if as_of is not None:
                request.as_of.CopyFrom(convert.instant_to_wire(as_of))
            page = await self._call(self._deployments.GetDeploymentHistory, request)
            entries = map(deployment_records.deployment_from_wire, page.deployments)
            return list(entries), page.next_page_token

        return connection.pages(fetch)

    async def roll_back(
        self,
        model: str,
        environment: str,
        *,
        reason: str,
        target_version: str = "",
        deployment: str = "",
        bypass_gates: bool = False,
    ) -> deployment_records.RollbackOutcome:
        """Go back to the last known good version of a model in an environment, in one call.

        Args:
            model: `acme/voice`.
            environment: its id, `prod` for example.
            reason: why, kept in the history.
            target_version: which version to go back to, `1.2.0`; the last known good if empty.
            deployment: the one to take back, `acme/voice/0123456789abcdef`, where several run.
            bypass_gates: go back even if gates fail; it needs a permission of its own.

        Raises:
            Refused: nothing good remains, or gates fail.
        """
        request = pb.RollBackDeploymentRequest(
            parent=refs.parse_model(model).model_name,
            environment=environment,
            reason=reason,
            target_version=target_version,
            deployment=deployment_records.full_name(deployment) if deployment else "",
            bypass_gates=bypass_gates,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._deployments.RollBackDeployment, request)
        return deployment_records.rollback_from_wire(response)

    async def deployment_sheet(self, ref: str, *, as_json: bool = False) -> str:
        """The deployment sheet of a version, as Markdown or JSON; the server makes it."""
        form = pb.SHEET_FORMAT_JSON if as_json else pb.SHEET_FORMAT_MARKDOWN
        request = pb.GetDeploymentSheetRequest(ref=str(refs.parse_selection(ref)), format=form)
        response = await self._call(self._deployments.GetDeploymentSheet, request)
        return response.content


def _namespace(text: str) -> str:
    return refs.parse_namespace(text).namespace_name
