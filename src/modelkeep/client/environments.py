"""Calls about environments."""

from collections.abc import AsyncIterator, Mapping, Sequence

from modelkeep.client import calls, connection, deployment_records, refs
from modelkeep.v1 import deployment_service_pb2 as pb


class EnvironmentCalls(connection.Connection):
    """Create, read, change and delete the places where versions run."""

    async def create_environment(
        self,
        environment: str,
        stages: Sequence[str],
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        allow_several: bool = False,
    ) -> deployment_records.Environment:
        """Create an environment.

        Args:
            environment: `acme/prod`.
            stages: from which stages versions may be deployed there, `production` for example.
            description: for people.
            labels: key and value pairs.
            allow_several: whether several deployments of one model may run there at once.
        """
        parent, _, environment_id = deployment_records.environment_name(environment).partition(
            "/environments/"
        )
        request = pb.CreateEnvironmentRequest(
            parent=parent,
            environment_id=environment_id,
            environment=pb.Environment(
                description=description,
                labels=labels,
                stages=stages,
                allow_several=allow_several,
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._deployments.CreateEnvironment, request)
        return deployment_records.environment_from_wire(response.environment)

    async def get_environment(self, environment: str) -> deployment_records.Environment:
        """Read an environment: `acme/prod`."""
        request = pb.GetEnvironmentRequest(name=deployment_records.environment_name(environment))
        response = await self._call(self._deployments.GetEnvironment, request)
        return deployment_records.environment_from_wire(response.environment)

    def list_environments(self, namespace: str) -> AsyncIterator[deployment_records.Environment]:
        """A namespace's environments by name."""
        parent = refs.parse_namespace(namespace).namespace_name

        async def fetch(token: str) -> tuple[list[deployment_records.Environment], str]:
            request = pb.ListEnvironmentsRequest(
                parent=parent, page_size=connection.MAX_PAGE_SIZE, page_token=token
            )
            page = await self._call(self._deployments.ListEnvironments, request)
            entries = map(deployment_records.environment_from_wire, page.environments)
            return list(entries), page.next_page_token

        return connection.pages(fetch)

    async def update_environment(
        self,
        environment: str,
        *,
        stages: Sequence[str] | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        allow_several: bool | None = None,
        etag: str = "",
    ) -> deployment_records.Environment:
        """Replace those fields that are given; without any stage nothing more is deployed there."""
        request = pb.UpdateEnvironmentRequest(
            environment=pb.Environment(
                name=deployment_records.environment_name(environment),
                description=description or "",
                labels=labels,
                stages=stages or (),
                allow_several=bool(allow_several),
                etag=etag,
            ),
            update_mask=connection.mask(
                description=description, labels=labels, stages=stages, allow_several=allow_several
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._deployments.UpdateEnvironment, request)
        return deployment_records.environment_from_wire(response.environment)

    async def delete_environment(
        self, environment: str, *, etag: str = ""
    ) -> deployment_records.Environment:
        """Delete an environment in which nothing ever ran (Refused otherwise)."""
        request = pb.DeleteEnvironmentRequest(
            name=deployment_records.environment_name(environment),
            etag=etag,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._deployments.DeleteEnvironment, request)
        return deployment_records.environment_from_wire(response.environment)
