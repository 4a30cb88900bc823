"""What tests of models that move to other namespaces share."""

import random
from typing import Any

import asyncpg
import grpc
from support import wire, wire_uploads

from modelkeep.storage import rehoming
from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import registry_service_pb2 as pb

_OWNERS = {
    "signature": "version",
    "version_file": "version",
    "version_label": "version",
    "version_parameter": "version",
    "version_dataset": "version",
    "lineage_node": "version",
    "transition_verdict": "transition",
    "gate_result": "stage_assignment",
}
"""By which row another is known to be a model's, where it does not say so by itself."""
_KEYS = {"stage_assignment": "assignment_id"}
_USAGE = "namespace_id, stored_bytes, reserved_bytes, logical_bytes, open_uploads"


def parent_of(name: str) -> str:
    return name.partition("/models/")[0]


async def rows(url: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def strays(url: str) -> dict[str, int]:
    """How many rows of models are not where their model is, by table; and usage miscounted."""
    found = {}
    for table in sorted(rehoming.FOLLOWS - {"model"}):
        owner = _OWNERS.get(table, "model")
        key = _KEYS.get(owner, f"{owner}_id")
        statement = f"""SELECT count(*) FROM {table} t JOIN {owner} o USING ({key})
            WHERE t.namespace_id <> o.namespace_id"""  # noqa: S608 - of our own tables
        found[table] = (await rows(url, statement))[0][0]
    wrong = f"""SELECT {_USAGE} FROM namespace_usage
        EXCEPT SELECT {_USAGE} FROM namespace_usage_counted"""  # noqa: S608 - as above
    found["usage"] = len(await rows(url, wrong))
    return {table: count for table, count in found.items() if count}


async def namespace(stubs: wire.Stubs, **fields: Any) -> str:
    """A new namespace; its name."""
    model = await stubs.new_model()
    parent = parent_of(model)
    if fields:
        request = pb.UpdateNamespaceRequest(namespace=pb.Namespace(name=parent, **fields))
        request.update_mask.paths.extend(fields)
        await stubs.registry.UpdateNamespace(request)
    return parent


async def filled(
    stubs: wire.Stubs, contents: dict[str, bytes], model: str = "", version: str = "1.0.0"
) -> str:
    """A sealed version with these files; its name."""
    model = model or await stubs.new_model(pb.MODEL_KIND_MODEL)
    made = pb.Version(labels={"team": "voice"}, card="# Voice")
    made.model.framework = "pytorch"
    request = pb.CreateVersionRequest(parent=model, version_id=version, version=made)
    draft = (await stubs.registry.CreateVersion(request)).version
    small = {path: body for path, body in contents.items() if len(body) <= 256 << 10}
    await batch(stubs, parent_of(model), list(small.values()))
    for path, body in contents.items():
        if path not in small:
            await wire_uploads.push(stubs, parent_of(model), body)
    files = [
        pb.File(path=path, digest=wire_uploads.digest_of(body), size_bytes=len(body))
        for path, body in contents.items()
    ]
    await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=draft.name, files=files))
    return str(draft.name)


async def batch(stubs: wire.Stubs, parent: str, contents: list[bytes]) -> None:
    """Store small blobs together, so that they lie in a pack."""
    if contents:
        request = artifact_pb.BatchWriteBlobsRequest(parent=parent)
        for body in contents:
            request.blobs.add(digest=wire_uploads.digest_of(body), data=body)
        await stubs.artifact.BatchWriteBlobs(request)


def some_files(seed: int, large: int = 2) -> dict[str, bytes]:
    """A few small files and some large ones, of bytes that only this seed has."""
    made = random.Random(seed)
    contents = {f"small/{n}": made.randbytes(1000 + n) for n in range(5)}
    return contents | {f"large/{n}": made.randbytes((300 << 10) + n) for n in range(large)}


async def copy(stubs: wire.Stubs, name: str, destination: str) -> list[Any]:
    """Copy what is missing; all that was told."""
    request = artifact_pb.CopyModelBlobsRequest(name=name, destination=destination)
    return [told async for told in stubs.artifact.CopyModelBlobs(request)]


async def move(stubs: wire.Stubs, name: str, destination: str, **fields: Any) -> pb.Model:
    """Move the rows."""
    request = pb.MoveModelRequest(name=name, destination=destination, **fields)
    return (await stubs.registry.MoveModel(request)).model


async def relocate(stubs: wire.Stubs, name: str, destination: str) -> pb.Model:
    """Copy, then move."""
    await copy(stubs, name, destination)
    return await move(stubs, name, destination)


async def outcome(call: Any) -> str:
    """OK, or the reason of the failure."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return wire.failure_of(error).reason
    return "OK"
