"""Calls about models."""

from collections.abc import AsyncIterator, Mapping

from modelkeep.client import calls, compliance_records, connection, convert, records, refs
from modelkeep.v1 import registry_service_pb2 as pb


class ModelCalls(connection.Connection):
    """Create, read, change, delete and restore models."""

    async def create_model(
        self,
        model: str,
        *,
        kind: records.ModelKind = records.ModelKind.MODEL,
        owner: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> records.Model:
        """Create a model in a namespace that exists. Refused if the name is taken."""
        ref = refs.parse_model(model)
        request = pb.CreateModelRequest(
            parent=ref.namespace_name,
            model_id=ref.model,
            model=pb.Model(
                kind=convert.kind_to_wire(kind),
                owner=owner,
                description=description,
                labels=dict(labels or {}),
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.CreateModel, request)
        return convert.model_from_wire(response.model)

    async def get_model(self, model: str) -> records.Model:
        """Read one model, or raise NotFound."""
        request = pb.GetModelRequest(name=refs.parse_model(model).model_name)
        response = await self._call(self._registry.GetModel, request)
        return convert.model_from_wire(response.model)

    def list_models(
        self, namespace: str, *, show_deleted: bool = False
    ) -> AsyncIterator[records.Model]:
        """A namespace's models by name."""
        parent = refs.parse_namespace(namespace).namespace_name

        async def fetch(token: str) -> tuple[list[records.Model], str]:
            request = pb.ListModelsRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                show_deleted=show_deleted,
            )
            page = await self._call(self._registry.ListModels, request)
            return [convert.model_from_wire(entry) for entry in page.models], page.next_page_token

        return connection.pages(fetch)

    async def update_model(
        self,
        model: str,
        *,
        owner: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        risk_tier: compliance_records.RiskTier | None = None,
        revalidation_days: int | None = None,
        etag: str = "",
    ) -> records.Model:
        """Change what is given; with an `etag`, only if nobody changed it since (Conflict).

        Args:
            model: `acme/voice`.
            owner: who answers for it.
            description: what it is for.
            labels: all its labels.
            risk_tier: how much harm it can do if it is wrong.
            revalidation_days: days between evaluations; 0 for those of the tier.
            etag: of the model as it was read.
        """
        request = pb.UpdateModelRequest(
            model=pb.Model(
                name=refs.parse_model(model).model_name,
                owner=owner or "",
                description=description or "",
                labels=dict(labels or {}),
                risk_tier=convert.risk_tier_to_wire(
                    risk_tier or compliance_records.RiskTier.UNSPECIFIED
                ),
                revalidation_days=revalidation_days or 0,
                etag=etag,
            ),
            update_mask=connection.mask(
                owner=owner,
                description=description,
                labels=labels,
                risk_tier=risk_tier,
                revalidation_days=revalidation_days,
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.UpdateModel, request)
        return convert.model_from_wire(response.model)

    async def delete_model(self, model: str, *, etag: str = "") -> records.Model:
        """Delete a model softly. Refused while a version of it lives."""
        request = pb.DeleteModelRequest(
            name=refs.parse_model(model).model_name,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.DeleteModel, request)
        return convert.model_from_wire(response.model)

    async def restore_model(self, model: str, *, etag: str = "") -> records.Model:
        """Bring a deleted model back. Refused if it is not deleted."""
        request = pb.RestoreModelRequest(
            name=refs.parse_model(model).model_name,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.RestoreModel, request)
        return convert.model_from_wire(response.model)
