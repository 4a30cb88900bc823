"""Sealed versions over the wire, and damage done to their objects behind the server's back."""

import io
from collections.abc import Mapping

from support import services, wire, wire_uploads

from modelkeep.v1 import registry_service_pb2 as pb

PARENT = "namespaces/acme"
MODEL = f"{PARENT}/models/voice"


async def seal(stubs: wire.Stubs, version: str, files: Mapping[str, bytes]) -> str:
    """Push the files as a version of `acme/voice`, made if need be; the version's name."""
    if not (await stubs.registry.ListNamespaces(pb.ListNamespacesRequest())).namespaces:
        await stubs.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id="acme"))
        model = pb.Model(kind=pb.MODEL_KIND_MODEL)
        await stubs.registry.CreateModel(
            pb.CreateModelRequest(parent=PARENT, model_id="voice", model=model)
        )
    content = pb.Version()
    content.model.framework = "onnx"
    draft = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(parent=MODEL, version_id=version, version=content)
    )
    for body in files.values():
        await wire_uploads.push(stubs, PARENT, body)
    listed = [
        pb.File(path=path, digest=wire_uploads.digest_of(body), size_bytes=len(body))
        for path, body in files.items()
    ]
    await stubs.registry.FinalizeVersion(
        pb.FinalizeVersionRequest(name=draft.version.name, files=listed)
    )
    return draft.version.name


def key_of(s3: services.S3, bucket: str, size_bytes: int) -> str:
    """The one object of that size."""
    found = s3.client().list_objects(bucket, recursive=True)
    (key,) = [entry.object_name for entry in found if entry.size == size_bytes]
    assert key is not None
    return key


def overwrite(s3: services.S3, bucket: str, content: bytes, at: int) -> str:
    """Change one bit of the object that has this content; its key."""
    key = key_of(s3, bucket, len(content))
    rotten = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    s3.client().put_object(bucket, key, io.BytesIO(rotten), len(rotten))
    return key


def lose(s3: services.S3, bucket: str, content: bytes) -> str:
    """Delete the object that has this content; its key."""
    key = key_of(s3, bucket, len(content))
    s3.client().remove_object(bucket, key)
    return key


def flip_inside(s3: services.S3, bucket: str, content: bytes, at: int) -> str:
    """Change one bit of this content in the one object that it lies in, among others; its key."""
    for entry in s3.client().list_objects(bucket, recursive=True):
        key = str(entry.object_name)
        whole = s3.client().get_object(bucket, key).read()
        begin = whole.find(content)
        if begin >= 0:
            place = begin + at
            rotten = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            s3.client().put_object(bucket, key, io.BytesIO(rotten), len(rotten))
            return key
    raise LookupError("no object holds it")
