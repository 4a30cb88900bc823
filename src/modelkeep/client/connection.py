"""What every group of calls stands on: one channel, its stubs, and paging."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Self, TypeVar

from google.protobuf import field_mask_pb2

from modelkeep.client import (
    calls,
    channel,
    credentials,
    endpoints,
    errors,
    rpc_errors,
    tls_failures,
)
from modelkeep.v1 import artifact_service_pb2_grpc as artifact_grpc
from modelkeep.v1 import deployment_service_pb2_grpc as deployment_grpc
from modelkeep.v1 import evaluation_service_pb2_grpc as evaluation_grpc
from modelkeep.v1 import event_service_pb2_grpc as event_grpc
from modelkeep.v1 import lifecycle_service_pb2_grpc as lifecycle_grpc
from modelkeep.v1 import registry_service_pb2_grpc as registry_grpc

if TYPE_CHECKING:
    import grpc

    from modelkeep.v1.artifact_service_pb2_grpc import ArtifactServiceAsyncStub
    from modelkeep.v1.deployment_service_pb2_grpc import DeploymentServiceAsyncStub
    from modelkeep.v1.evaluation_service_pb2_grpc import EvaluationServiceAsyncStub
    from modelkeep.v1.event_service_pb2_grpc import EventServiceAsyncStub
    from modelkeep.v1.lifecycle_service_pb2_grpc import LifecycleServiceAsyncStub
    from modelkeep.v1.registry_service_pb2_grpc import RegistryServiceAsyncStub

MAX_PAGE_SIZE = 1000
_Entry = TypeVar("_Entry")


class Connection:
    """One channel to one registry, and more for bulk; use it as an async context manager.

    Args:
        endpoint: `HOST:PORT`, or `https://HOST:PORT` for TLS.
        timeout_s: how long a unary call may take, in seconds.
        shown: who calls, and by what the server is known.
    """

    def __init__(
        self,
        endpoint: str = channel.DEFAULT_ENDPOINT,
        *,
        timeout_s: float = calls.DEFAULT_TIMEOUT_S,
        shown: credentials.Credentials = channel.NO_CREDENTIALS,
    ) -> None:
        self._where = endpoints.parse(endpoint)
        self._shown = shown
        self.endpoint = self._where.target
        self._call = calls.Caller(timeout_s, self._explained)
        self._channel: grpc.aio.Channel = channel.open_channel(self._where, shown)
        self._lines = [self._channel]
        self._registry: RegistryServiceAsyncStub = registry_grpc.RegistryServiceStub(self._channel)
        self._artifacts: ArtifactServiceAsyncStub = artifact_grpc.ArtifactServiceStub(self._channel)
        self._events: EventServiceAsyncStub = event_grpc.EventServiceStub(self._channel)
        self._evaluations: EvaluationServiceAsyncStub = evaluation_grpc.EvaluationServiceStub(
            self._channel
        )
        self._deployments: DeploymentServiceAsyncStub = deployment_grpc.DeploymentServiceStub(
            self._channel
        )
        self._lifecycle: LifecycleServiceAsyncStub = lifecycle_grpc.LifecycleServiceStub(
            self._channel
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the channel and whatever runs on it."""
        for line in self._lines:
            await line.close()

    async def _explained(self, lost: "grpc.aio.AioRpcError") -> errors.RegistryError:
        """What a failed call means; if need be, after a look at the server."""
        found = await tls_failures.probed(self._where, self._shown, lost)
        return found or rpc_errors.from_rpc(lost)

    def _line(self, number: int) -> "grpc.aio.Channel":
        """A channel with a connection of its own, for bulk; number 0 is the one of all calls."""
        while len(self._lines) <= number:
            self._lines.append(channel.open_line(self._where, self._shown))
        return self._lines[number]


async def pages(
    fetch: Callable[[str], Awaitable[tuple[list[_Entry], str]]],
) -> AsyncIterator[_Entry]:
    """Every entry of a list, page after page; `fetch` takes a page token and answers the next."""
    token = ""
    while True:
        entries, token = await fetch(token)
        for entry in entries:
            yield entry
        if not token:
            return


def mask(**values: object) -> field_mask_pb2.FieldMask:
    """A mask of those fields that were given a value (None means: leave it)."""
    return field_mask_pb2.FieldMask(
        paths=[path for path, value in values.items() if value is not None]
    )
