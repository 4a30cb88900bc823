"""Resources to aim at, and valid requests, recorded while they are made.

Without names that exist, no message gets further than NOT_FOUND.
"""

import collections
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import message_factory
from support import wire, wire_uploads

from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import evaluation_service_pb2 as evaluation_pb
from modelkeep.v1 import event_service_pb2 as event_pb
from modelkeep.v1 import registry_service_pb2 as pb

_numbers = itertools.count(1)
CONTENT = b"what the model weighs"


class Recorder(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Keeps every unary request that succeeded, by method."""

    def __init__(self) -> None:
        self.requests: dict[str, list[bytes]] = collections.defaultdict(list)

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        call = await continuation(client_call_details, request)
        if await call.code() is grpc.StatusCode.OK:
            path = client_call_details.method
            path = path.decode() if isinstance(path, bytes) else path
            self.requests[path.rpartition("/")[2]].append(request.SerializeToString())
        return call


@dataclass
class World:
    """A namespace with one of everything, and words that mean something in it."""

    namespace: str
    names: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


async def intact(stubs: wire.Stubs, world: World | None) -> World:
    """This world if its resources are all there still, else a new one."""
    if world is not None:
        try:
            for ref in world.refs:
                await stubs.registry.ResolveVersion(pb.ResolveVersionRequest(ref=ref))
            await stubs.events.GetWebhook(event_pb.GetWebhookRequest(name=world.names[-1]))
        except grpc.aio.AioRpcError:
            return await _made(stubs)
        return world
    return await _made(stubs)


async def _made(stubs: wire.Stubs) -> World:
    short = f"fuzz-{next(_numbers)}"
    world = World(f"namespaces/{short}")
    await stubs.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id=short))
    prompts, weights = f"{world.namespace}/models/p", f"{world.namespace}/models/w"
    for name, kind in ((prompts, pb.MODEL_KIND_PROMPT), (weights, pb.MODEL_KIND_MODEL)):
        model = pb.Model(kind=kind)
        request = pb.CreateModelRequest(
            parent=world.namespace, model_id=name.rpartition("/")[2], model=model
        )
        await stubs.registry.CreateModel(request)
    one, other = await stubs.ready(prompts, "1.0.0"), await stubs.ready(prompts, "1.1.0")
    draft = await stubs.draft(prompts, "2.0.0")
    heavy = await _weighed(stubs, world, weights)
    alias = await stubs.alias(one.name, "prod")
    world.names += [world.namespace, prompts, weights, one.name, other.name, draft.name, heavy]
    world.names += [alias.name, f"{heavy}/files/model.bin"]
    world.names += await _measured(stubs, one.name)
    world.names += await _stored(stubs, world)
    world.refs = [f"{short}/p@1.0.0", f"{short}/p@prod", f"{short}/p", f"{short}/w@1.0.0"]
    world.words = ["1.0.0", "3.0.0", "prod", "staging", "p", "w", "version.create", "score > 0.5"]
    world.words += [wire_uploads.digest_of(CONTENT), wire_uploads.digest_of(b"missing"), "*"]
    world.names.append(await _hooked(stubs, world.namespace))
    await _exercised(stubs, world)
    return world


async def _exercised(stubs: wire.Stubs, world: World) -> None:
    """Every kind of request that a name alone does not make, once and well."""
    model, version, other = world.names[1], world.names[3], world.names[4]
    blob, webhook = wire_uploads.digest_of(CONTENT), world.names[-1]
    registry, artifact = stubs.registry, stubs.artifact
    link = {
        "source": {"kind": "LINEAGE_KIND_OTHER", "name": "o"},
        "target": {"kind": "LINEAGE_KIND_VERSION", "name": version},
        "relation": "derived",
    }
    described = {"update_mask": {"paths": ["description"]}}
    both = [world.refs[0], f"{world.namespace.partition('/')[2]}/p@1.1.0"]
    moved = f"{model}-moved"
    calls: list[tuple[Any, dict[str, Any]]] = [
        (registry.AddLineage, {"parent": world.namespace, "link": link}),
        (registry.QueryLineage, {"parent": world.namespace, "node": link["target"]}),
        (registry.RemoveLineage, {"parent": world.namespace, "link": link}),
        (registry.DiffVersions, {"from_ref": world.refs[0], "to_ref": world.refs[1]}),
        (registry.SearchVersions, {"parent": world.namespace, "filter": "version > 0.1.0"}),
        (registry.UpdateModel, {"model": {"name": model, "description": "d"}, **described}),
        (registry.UpdateVersion, {"version": {"name": other, "description": "d"}, **described}),
        (registry.UpdateNamespace, {"namespace": {"name": world.namespace}, **described}),
        (registry.ProtectAliases, {"parent": model, "pattern": "gold", "reason": "r"}),
        (registry.MoveModel, {"name": model, "destination": moved}),
        (registry.MoveModel, {"name": moved, "destination": model}),
        (artifact.FindMissingBlobs, {"parent": world.namespace, "digests": [blob]}),
        (artifact.BatchReadBlobs, {"parent": world.namespace, "digests": [blob]}),
        (stubs.lifecycle.SetStage, {"name": version, "stage": "staging", "reason": "r"}),
        (stubs.evaluations.CompareVersions, {"refs": both, "dataset": "d@1"}),
        (stubs.events.UpdateWebhook, {"webhook": {"name": webhook}, **described}),
    ]
    for call, fields in calls:
        await call(request_of(call, fields))


def request_of(call: Any, fields: dict[str, Any]) -> Any:
    """The request that a stub's method takes, with these fields."""
    method = call._method.decode().rpartition("/")[2]
    found = {one.name: one.input_type for service in wire.SERVICES for one in service.methods}
    return message_factory.GetMessageClass(found[method])(**fields)


async def _weighed(stubs: wire.Stubs, world: World, model: str) -> str:
    digest = wire_uploads.digest_of(CONTENT)
    blob = artifact_pb.SmallBlob(digest=digest, data=CONTENT)
    await stubs.artifact.BatchWriteBlobs(
        artifact_pb.BatchWriteBlobsRequest(parent=world.namespace, blobs=[blob])
    )
    draft = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(parent=model, version_id="1.0.0")
    )
    file = pb.File(path="model.bin", digest=digest, size_bytes=len(CONTENT))
    request = pb.FinalizeVersionRequest(name=draft.version.name, files=[file])
    return (await stubs.registry.FinalizeVersion(request)).version.name


async def _measured(stubs: wire.Stubs, version: str) -> list[str]:
    evaluation = evaluation_pb.Evaluation(
        dataset=evaluation_pb.EvaluationDataset(name="d", revision="1"),
        suite="s",
        evaluator="e",
        metrics=[
            evaluation_pb.EvaluationMetric(
                name="score", value=0.5, direction=evaluation_pb.METRIC_DIRECTION_HIGHER
            )
        ],
    )
    request = evaluation_pb.RecordEvaluationRequest(parent=version, evaluation=evaluation)
    return [(await stubs.evaluations.RecordEvaluation(request)).evaluation.name]


async def _stored(stubs: wire.Stubs, world: World) -> list[str]:
    upload = await wire_uploads.start(stubs, world.namespace, b"not sent yet")
    blob = f"{world.namespace}/blobs/{wire_uploads.digest_of(CONTENT)}"
    return [upload.name, blob]


async def _hooked(stubs: wire.Stubs, namespace: str) -> str:
    webhook = event_pb.Webhook(url="https://192.0.2.1/hook", filter=event_pb.EventFilter())
    request = event_pb.CreateWebhookRequest(parent=namespace, webhook=webhook)
    return (await stubs.events.CreateWebhook(request)).webhook.name
