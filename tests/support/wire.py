"""What wire tests share: stubs of one server, and shortcuts to resources in a given state."""

import itertools
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

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
from modelkeep.v1 import registry_service_pb2 as pb

SERVICES = [
    service
    for module in (
        registry_service_pb2,
        lifecycle_service_pb2,
        artifact_service_pb2,
        event_service_pb2,
        evaluation_service_pb2,
        deployment_service_pb2,
        audit_service_pb2,
        access_service_pb2,
        provenance_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
]
"""Every service of the contract, as its descriptor says."""

_ids = itertools.count(1)


@dataclass(frozen=True)
class Stubs:
    """Every service of one server."""

    channel: grpc.aio.Channel
    registry: Any
    lifecycle: Any
    artifact: Any
    events: Any
    evaluations: Any
    deployments: Any
    audit: Any
    access: Any
    provenance: Any

    @classmethod
    def over(cls, channel: grpc.aio.Channel) -> "Stubs":
        return cls(
            channel,
            registry_service_pb2_grpc.RegistryServiceStub(channel),
            lifecycle_service_pb2_grpc.LifecycleServiceStub(channel),
            artifact_service_pb2_grpc.ArtifactServiceStub(channel),
            event_service_pb2_grpc.EventServiceStub(channel),
            evaluation_service_pb2_grpc.EvaluationServiceStub(channel),
            deployment_service_pb2_grpc.DeploymentServiceStub(channel),
            audit_service_pb2_grpc.AuditServiceStub(channel),
            access_service_pb2_grpc.AccessServiceStub(channel),
            provenance_service_pb2_grpc.ProvenanceServiceStub(channel),
        )

    async def new_model(self, kind: int = pb.MODEL_KIND_PROMPT) -> str:
        """A model in a namespace of its own; its name."""
        number = next(_ids)
        namespace = f"ns-{number}"
        await self.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id=namespace))
        created = await self.registry.CreateModel(
            pb.CreateModelRequest(
                parent=f"namespaces/{namespace}", model_id="m", model=pb.Model(kind=kind)
            )
        )
        return created.model.name

    async def draft(self, model: str, version: str = "1.0.0") -> pb.Version:
        """A draft with a prompt."""
        created = await self.registry.CreateVersion(
            pb.CreateVersionRequest(parent=model, version_id=version, version=prompt_version())
        )
        return created.version

    async def ready(self, model: str, version: str = "1.0.0") -> pb.Version:
        """A sealed version; prompts need no upload."""
        draft = await self.draft(model, version)
        sealed = await self.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=draft.name))
        return sealed.version

    async def stage(self, name: str, *stages: str) -> lifecycle_service_pb2.SetStageResponse:
        """Move a version through stages; the last answer."""
        for stage in stages:
            answer = await self.lifecycle.SetStage(
                lifecycle_service_pb2.SetStageRequest(name=name, stage=stage, reason="test")
            )
        return answer

    async def alias(self, version: str, alias: str, **fields: Any) -> pb.Alias:
        """Point an alias at a version."""
        name = f"{version.rpartition('/versions/')[0]}/aliases/{alias}"
        answer = await self.registry.SetAlias(
            pb.SetAliasRequest(alias=pb.Alias(name=name, version=version), **fields)
        )
        return answer.alias

    async def resolve(self, model: str, selector: str = "", **fields: Any) -> str:
        """The version that a reference means."""
        _, namespace, _, model_id = model.split("/")
        ref = f"{namespace}/{model_id}" + (f"@{selector}" if selector else "")
        answer = await self.registry.ResolveVersion(pb.ResolveVersionRequest(ref=ref, **fields))
        return answer.version.version


def prompt_version(text: str = "hello") -> pb.Version:
    """What a prompt version is created from."""
    version = pb.Version()
    version.prompt.provider = "openai"
    version.prompt.hosted_model = "some-model-1"
    version.prompt.messages.add(role="system", content=text)
    return version


@dataclass(frozen=True)
class Failure:
    """What a failed call told."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: list[str]


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    """Read an error's standard details."""
    reason, metadata, fields = "", {}, []
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for packed in status_pb2.Status.FromString(value).details:
            if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                info = error_details_pb2.ErrorInfo.FromString(packed.value)
                reason, metadata = info.reason, dict(info.metadata)
            if packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest.FromString(packed.value)
                fields = [violation.field for violation in bad.field_violations]
    return Failure(error.code(), error.details() or "", reason, metadata, fields)


async def failing(call: Any) -> Failure:
    """The failure of a call that must fail."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return failure_of(error)
    raise AssertionError(f"expected a failure, got {answer}")
