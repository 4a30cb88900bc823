"""The gRPC server: our services, health and reflection, and a graceful end."""

import asyncio
import resource
from collections.abc import Sequence

import grpc
from google.protobuf import descriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from modelkeep.domain import errors, limits
from modelkeep.service import access, auditing, compliance, usecases
from modelkeep.transport import access as access_servicer
from modelkeep.transport import artifacts as artifact_servicer
from modelkeep.transport import audit as audit_servicer
from modelkeep.transport import (
    authentication,
    interceptors,
    limiting,
    page_tokens,
    redirects,
    tls,
)
from modelkeep.transport import deployments as deployment_servicer
from modelkeep.transport import evaluations as evaluation_servicer
from modelkeep.transport import events as event_servicer
from modelkeep.transport import lifecycle as lifecycle_servicer
from modelkeep.transport import provenance as provenance_servicer
from modelkeep.transport import registry as registry_servicer
from modelkeep.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    artifact_service_pb2,
    artifact_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    deployment_service_pb2,
    deployment_service_pb2_grpc,
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    lifecycle_service_pb2,
    lifecycle_service_pb2_grpc,
    provenance_service_pb2,
    provenance_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
)

_OTHER_FILES = 256
"""File descriptors kept for the database, the store and ourselves."""
_MINUTE_MS = 60_000
_OPTIONS = (
    ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 * limits.KIB),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # What arrives of a stream waits here until its handler reads it. Left to itself gRPC measures
    # the line and lets gigabytes wait: the clients are as fast as memory, the store is not.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", limits.STREAM_WINDOW_BYTES),
    ("grpc.max_connection_age_ms", 30 * _MINUTE_MS),  # so that balanced clients find new replicas
    # Then its streams may end by themselves. Whoever holds one open is disconnected, and goes on.
    ("grpc.max_connection_age_grace_ms", 360 * _MINUTE_MS),
    ("grpc.max_concurrent_streams", 4096),  # of one connection, health and reflection included
    ("grpc.max_connection_idle_ms", 15 * _MINUTE_MS),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # A peer that vanished without a word is noticed in 60 + 20 s, and what it held is freed.
    ("grpc.keepalive_time_ms", _MINUTE_MS),
    ("grpc.keepalive_timeout_ms", 20_000),
)


class Server:
    """Serves at one door, or at several.

    Args:
        doors: where to listen; the first is the public one.
        directory: knows what models were called.
        authenticating: finds out who is calling.
        observer: is told of every call.
        denials: is told of every call that was denied.
        limiter: keeps the limits of calls.
        shares_port: whether other processes of ours may listen at the same doors.

    Attributes:
        draining: set when the server is about to stop; long streams then end by themselves.
        started: whether it takes calls, or has.
    """

    def __init__(
        self,
        doors: Sequence[tls.Door],
        directory: redirects.Directory,
        authenticating: authentication.Authentication,
        observer: interceptors.CallObserver | None = None,
        denials: interceptors.DenialObserver | None = None,
        *,
        limiter: limiting.Limiter | None = None,
        shares_port: bool = False,
    ) -> None:
        self.draining = asyncio.Event()
        self.started = False
        self._doors = tuple(doors)
        self._limiter = limiter or limiting.Limiter()
        self._scope = interceptors.Scope(
            directory, authenticating, observer, denials, limiter=self._limiter
        )
        self._health = health.aio.HealthServicer()
        self._names: list[str] = [""]
        self._grpc = grpc.aio.server(
            interceptors=(self._scope,),
            options=(
                *_OPTIONS,
                *_most(self._limiter.limits),
                # Else a second server on the port is an error, not half the traffic.
                ("grpc.so_reuseport", int(shares_port)),
            ),
        )

    def add_registry(self, registry: usecases.Registry, tokens: page_tokens.PageTokens) -> None:
        """Offer the services of the registry, of lifecycle, evaluations and deployments."""
        servicer = registry_servicer.RegistryServicer(registry, tokens)
        registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, self._grpc)
        self._names.append(_full_name(registry_service_pb2.DESCRIPTOR))
        mover = lifecycle_servicer.LifecycleServicer(registry, tokens)
        lifecycle_service_pb2_grpc.add_LifecycleServiceServicer_to_server(mover, self._grpc)
        self._names.append(_full_name(lifecycle_service_pb2.DESCRIPTOR))
        measurer = evaluation_servicer.EvaluationServicer(registry, tokens)
        evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server(measurer, self._grpc)
        self._names.append(_full_name(evaluation_service_pb2.DESCRIPTOR))
        deployer = deployment_servicer.DeploymentServicer(registry, tokens)
        deployment_service_pb2_grpc.add_DeploymentServiceServicer_to_server(deployer, self._grpc)
        self._names.append(_full_name(deployment_service_pb2.DESCRIPTOR))

    def add_access(self, cases: access.Access, tokens: page_tokens.PageTokens) -> None:
        """Offer AccessService."""
        servicer = access_servicer.AccessServicer(cases, tokens)
        access_service_pb2_grpc.add_AccessServiceServicer_to_server(servicer, self._grpc)
        self._names.append(_full_name(access_service_pb2.DESCRIPTOR))

    def add_events(self, happening: usecases.Events, tokens: page_tokens.PageTokens) -> None:
        """Offer EventService."""
        servicer = event_servicer.EventServicer(happening, tokens)
        event_service_pb2_grpc.add_EventServiceServicer_to_server(servicer, self._grpc)
        self._names.append(_full_name(event_service_pb2.DESCRIPTOR))

    def add_audit(
        self,
        log: auditing.Auditing,
        reporting: compliance.Compliance,
        tokens: page_tokens.PageTokens,
    ) -> None:
        """Offer AuditService."""
        servicer = audit_servicer.AuditServicer(log, reporting, tokens)
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(servicer, self._grpc)
        self._names.append(_full_name(audit_service_pb2.DESCRIPTOR))

    def add_provenance(self, vouching: usecases.Vouching, tokens: page_tokens.PageTokens) -> None:
        """Offer ProvenanceService."""
        servicer = provenance_servicer.ProvenanceServicer(vouching, tokens)
        provenance_service_pb2_grpc.add_ProvenanceServiceServicer_to_server(servicer, self._grpc)
        self._names.append(_full_name(provenance_service_pb2.DESCRIPTOR))

    def add_artifact(self, artifact: usecases.Artifact, tokens: page_tokens.PageTokens) -> None:
        """Offer ArtifactService."""
        servicer = artifact_servicer.ArtifactServicer(artifact, tokens, self._limiter.limits)
        artifact_service_pb2_grpc.add_ArtifactServiceServicer_to_server(servicer, self._grpc)
        self._names.append(_full_name(artifact_service_pb2.DESCRIPTOR))

    async def start(self) -> str:
        """Take calls to the services that were added; return the first door's `host:port`.

        Raises `errors.Unavailable` if the address cannot be had.
        """
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflected = (*self._names[1:], health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(reflected, self._grpc)
        bound = [self._open(door) for door in self._doors]
        await self._grpc.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        self.started = True
        return bound[0]

    async def stop(self, grace_s: float) -> None:
        """Say NOT_SERVING, refuse new calls, and give running ones `grace_s` seconds to end."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.draining.set()
        await self._grpc.stop(grace_s)
        await self._scope.wait_idle()

    def _open(self, door: tls.Door) -> str:
        try:
            if door.credentials is None:
                port = self._grpc.add_insecure_port(door.listen)
            else:
                port = self._grpc.add_secure_port(door.listen, door.credentials)
        except RuntimeError as error:
            raise errors.Unavailable(
                f"cannot listen on {door.listen}: the address is in use or not ours"
            ) from error
        return f"{door.listen.rpartition(':')[0]}:{port}"

    async def _set_health(self, status: int) -> None:
        for name in self._names:
            await self._health.set(name, status)


def _most(allowed: limiting.Limits) -> tuple[tuple[str, int], ...]:
    """The limits that gRPC keeps for us: connections, as far as there are file descriptors."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    bounds = [allowed.connections] if allowed.connections else []
    if files != resource.RLIM_INFINITY:
        bounds.append(max(files - _OTHER_FILES, 1))
    return (("grpc.max_allowed_incoming_connections", min(bounds)),) if bounds else ()


def _full_name(file: descriptor.FileDescriptor) -> str:
    """Full name of the one service in a proto file of ours."""
    (service,) = file.services_by_name.values()
    return service.full_name
