"""Calls about gates: say which there are before a stage, and try them."""

from collections.abc import AsyncIterator

from modelkeep.client import calls, connection, gate_records, refs
from modelkeep.v1 import lifecycle_service_pb2 as pb


class GateCalls(connection.Connection):
    """Set, read and remove gate policies, and try their gates."""

    async def set_gate_policy(
        self, policy: gate_records.GatePolicy, *, dry_run: bool = False
    ) -> gate_records.GatePolicy:
        """Put a policy in place of what its owner had before the stage.

        Args:
            policy: the whole of it; with an `etag`, only if it is still as it was read.
            dry_run: check everything and change nothing.

        Raises:
            InvalidRequest: a gate is malformed; `violations` names each field.
            Conflict: it changed meanwhile.
        """
        request = pb.SetGatePolicyRequest(
            policy=gate_records.policy_to_wire(policy),
            request_id=calls.new_request_id(),
            validate_only=dry_run,
        )
        response = await self._call(self._lifecycle.SetGatePolicy, request)
        return gate_records.policy_from_wire(response.policy)

    async def get_gate_policy(self, owner: str, stage: str) -> gate_records.GatePolicy:
        """The policy of just `acme` or `acme/voice` before a stage, or NotFound."""
        request = pb.GetGatePolicyRequest(name=gate_records.policy_name(owner, stage))
        response = await self._call(self._lifecycle.GetGatePolicy, request)
        return gate_records.policy_from_wire(response.policy)

    def list_gate_policies(self, where: str) -> AsyncIterator[gate_records.GatePolicy]:
        """The policies of a namespace and its models, or all that hold for a model."""
        ref = refs.parse(where)
        parent = refs.parse_model(where).model_name if ref.model else ref.namespace_name

        async def fetch(token: str) -> tuple[list[gate_records.GatePolicy], str]:
            request = pb.ListGatePoliciesRequest(
                parent=parent, page_size=connection.MAX_PAGE_SIZE, page_token=token
            )
            page = await self._call(self._lifecycle.ListGatePolicies, request)
            return list(map(gate_records.policy_from_wire, page.policies)), page.next_page_token

        return connection.pages(fetch)

    async def delete_gate_policy(self, owner: str, stage: str, *, etag: str = "") -> None:
        """Remove the policy of `acme` or `acme/voice` before a stage, or raise NotFound."""
        request = pb.DeleteGatePolicyRequest(
            name=gate_records.policy_name(owner, stage),
            etag=etag,
            request_id=calls.new_request_id(),
        )
        await self._call(self._lifecycle.DeleteGatePolicy, request)

    async def evaluate_gates(self, version: str, stage: str) -> gate_records.GateReport:
        """What would become of the gates before a stage now; nothing is changed."""
        request = pb.EvaluateGatesRequest(
            name=refs.parse_version(version).version_name, stage=stage
        )
        response = await self._call(self._lifecycle.EvaluateGates, request)
        return gate_records.report_from_wire(response.report)
