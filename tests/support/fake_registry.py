"""A registry in memory that speaks the contract, for tests of the client alone.

It keeps no more rules than those tests need. `Faults` says where it shall misbehave.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import google_crc32c
import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import artifact_service_pb2_grpc as artifact_grpc
from modelkeep.v1 import lifecycle_service_pb2 as lifecycle_pb
from modelkeep.v1 import lifecycle_service_pb2_grpc as lifecycle_grpc
from modelkeep.v1 import registry_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2_grpc as registry_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
PART_BYTES = 256 * 1024
CHUNK_BYTES = 64 * 1024
BATCH_BLOB_BYTES = 1024


@dataclass
class Faults:
    """What shall go wrong; each number is used up as it happens."""

    cut_writes_after: list[int] = field(default_factory=list)
    cut_reads_after: list[int] = field(default_factory=list)
    damage_read_chunks: int = 0
    refuse_chunks: int = 0
    stall_writes: int = 0
    unavailable: int = 0
    hostile_files: list[pb.File] | None = None
    refuse_in_batches: set[str] = field(default_factory=set)
    damage_batches: int = 0
    before_finalize: list[asyncio.Event] = field(default_factory=list)


@dataclass
class Uploading:
    """One open upload."""

    message: artifact_pb.Upload
    content: bytearray


class FakeRegistry(
    registry_grpc.RegistryServiceServicer,
    artifact_grpc.ArtifactServiceServicer,
    lifecycle_grpc.LifecycleServiceServicer,
):
    """All three services over dictionaries; `received_bytes` counts what WriteUpload took."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.namespaces: dict[str, pb.Namespace] = {}
        self.models: dict[str, pb.Model] = {}
        self.versions: dict[str, pb.Version] = {}
        self.files: dict[str, list[pb.File]] = {}
        self.aliases: dict[str, pb.Alias] = {}
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, Uploading] = {}
        self.takes_batches = False
        self.states_batches = False
        self.received_bytes = 0
        self.served_bytes = 0
        self.calls: list[str] = []
        self._called = asyncio.Condition()

    async def reached(self, name: str, times: int) -> None:
        """Wait until that RPC was called so many times."""
        async with self._called:
            await self._called.wait_for(lambda: self.calls.count(name) >= times)

    async def CreateNamespace(
        self, request: pb.CreateNamespaceRequest, context: Context
    ) -> pb.CreateNamespaceResponse:
        await self._enter("CreateNamespace", context)
        name = f"namespaces/{request.namespace_id}"
        if name in self.namespaces:
            await fail(context, grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS", "taken")
        self.namespaces[name] = pb.Namespace(name=name, etag="1")
        return pb.CreateNamespaceResponse(namespace=self.namespaces[name])

    async def ListNamespaces(
        self, _request: pb.ListNamespacesRequest, context: Context
    ) -> pb.ListNamespacesResponse:
        await self._enter("ListNamespaces", context)
        return pb.ListNamespacesResponse(namespaces=self.namespaces.values())

    async def GetNamespace(
        self, request: pb.GetNamespaceRequest, context: Context
    ) -> pb.GetNamespaceResponse:
        await self._enter("GetNamespace", context)
        found = await self._found(self.namespaces, request.name, context)
        return pb.GetNamespaceResponse(namespace=found)

    async def CreateModel(
        self, request: pb.CreateModelRequest, context: Context
    ) -> pb.CreateModelResponse:
        await self._enter("CreateModel", context)
        name = f"{request.parent}/models/{request.model_id}"
        if name in self.models:
            await fail(context, grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS", "taken")
        self.models[name] = pb.Model(name=name, kind=request.model.kind, etag="1")
        return pb.CreateModelResponse(model=self.models[name])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        await self._enter("GetModel", context)
        return pb.GetModelResponse(model=await self._found(self.models, request.name, context))

    async def ListModels(
        self, _request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        await self._enter("ListModels", context)
        return pb.ListModelsResponse(models=self.models.values())

    async def CreateVersion(
        self, request: pb.CreateVersionRequest, context: Context
    ) -> pb.CreateVersionResponse:
        await self._enter("CreateVersion", context)
        name = f"{request.parent}/versions/{request.version_id}"
        if name in self.versions:
            await fail(context, grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS", "taken")
        version = pb.Version()
        version.CopyFrom(request.version)
        version.MergeFrom(
            pb.Version(
                name=name,
                version=request.version_id,
                ordinal=len(self.versions) + 1,
                state=pb.VERSION_STATE_DRAFT,
                stage="development",
                creator="local",
                create_client="ipv4:127.0.0.1:1 test",
                etag="1",
            )
        )
        version.create_time.GetCurrentTime()
        self.versions[name] = version
        return pb.CreateVersionResponse(version=version)

    async def UpdateVersion(
        self, request: pb.UpdateVersionRequest, context: Context
    ) -> pb.UpdateVersionResponse:
        await self._enter("UpdateVersion", context)
        version = await self._found(self.versions, request.version.name, context)
        await self._check_etag(version, request.version.etag, context)
        for path in request.update_mask.paths:
            if path == "spec":
                version.model.CopyFrom(request.version.model)
            else:
                version.ClearField(path)
                wanted = pb.Version()
                wanted.CopyFrom(request.version)
                for other in [f.name for f in wanted.DESCRIPTOR.fields if f.name != path]:
                    wanted.ClearField(other)
                version.MergeFrom(wanted)
        version.etag += "1"
        return pb.UpdateVersionResponse(version=version)

    async def GetVersion(
        self, request: pb.GetVersionRequest, context: Context
    ) -> pb.GetVersionResponse:
        await self._enter("GetVersion", context)
        found = await self._found(self.versions, request.name, context)
        return pb.GetVersionResponse(version=found)

    async def ListVersions(
        self, request: pb.ListVersionsRequest, context: Context
    ) -> pb.ListVersionsResponse:
        await self._enter("ListVersions", context)
        versions = [v for v in self.versions.values() if v.name.startswith(f"{request.parent}/")]
        return pb.ListVersionsResponse(versions=reversed(versions))

    async def FinalizeVersion(
        self, request: pb.FinalizeVersionRequest, context: Context
    ) -> pb.FinalizeVersionResponse:
        await self._enter("FinalizeVersion", context)
        if self.faults.before_finalize:
            await self.faults.before_finalize.pop(0).wait()
        version = await self._found(self.versions, request.name, context)
        if version.state != pb.VERSION_STATE_DRAFT:
            await fail(
                context, grpc.StatusCode.FAILED_PRECONDITION, "VERSION_NOT_DRAFT", "not a draft"
            )
        await self._check_etag(version, request.etag, context)
        lines = ["modelkeep-manifest-v1"]
        for file in sorted(request.files, key=lambda file: file.path.encode()):
            assert file.digest in self.blobs
            lines.append(f"{file.digest[7:]}  {file.size_bytes}  {file.path}")
        text = "".join(f"{line}\n" for line in lines)
        version.manifest_digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        version.state = pb.VERSION_STATE_READY
        version.file_count = len(request.files)
        version.total_bytes = sum(file.size_bytes for file in request.files)
        version.finalize_time.GetCurrentTime()
        self.files[version.name] = list(request.files)
        return pb.FinalizeVersionResponse(version=version)

    async def ResolveVersion(
        self, request: pb.ResolveVersionRequest, context: Context
    ) -> pb.ResolveVersionResponse:
        await self._enter("ResolveVersion", context)
        path, _, selector = request.ref.partition("@")
        namespace, _, model = path.partition("/")
        parent = f"namespaces/{namespace}/models/{model}"
        for version in reversed(self.versions.values()):
            names = {"", "latest", version.version, version.stage}
            if version.name.startswith(f"{parent}/") and selector in names:
                return pb.ResolveVersionResponse(version=version)
        return await fail(
            context, grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f"nothing is {request.ref}"
        )

    async def ListFiles(
        self, request: pb.ListFilesRequest, context: Context
    ) -> pb.ListFilesResponse:
        await self._enter("ListFiles", context)
        if self.faults.hostile_files is not None:
            return pb.ListFilesResponse(files=self.faults.hostile_files)
        files = sorted(self.files.get(request.parent, []), key=lambda file: file.path.encode())
        # Two to a page, so that paging is exercised.
        start = int(request.page_token or 0)
        token = str(start + 2) if start + 2 < len(files) else ""
        return pb.ListFilesResponse(files=files[start : start + 2], next_page_token=token)

    async def SetAlias(self, request: pb.SetAliasRequest, context: Context) -> pb.SetAliasResponse:
        await self._enter("SetAlias", context)
        self.aliases[request.alias.name] = request.alias
        return pb.SetAliasResponse(alias=request.alias)

    async def ListAliases(
        self, _request: pb.ListAliasesRequest, context: Context
    ) -> pb.ListAliasesResponse:
        await self._enter("ListAliases", context)
        return pb.ListAliasesResponse(aliases=self.aliases.values())

    async def DeleteVersion(
        self, request: pb.DeleteVersionRequest, context: Context
    ) -> pb.DeleteVersionResponse:
        await self._enter("DeleteVersion", context)
        version = await self._found(self.versions, request.name, context)
        if version.stage == "production":
            await fail(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                "VERSION_IN_USE",
                "it is in production",
            )
        version.state = pb.VERSION_STATE_DELETED
        return pb.DeleteVersionResponse(version=version)

    async def SetStage(
        self, request: lifecycle_pb.SetStageRequest, context: Context
    ) -> lifecycle_pb.SetStageResponse:
        await self._enter("SetStage", context)
        version = await self._found(self.versions, request.name, context)
        version.stage = request.stage
        return lifecycle_pb.SetStageResponse(version=version)

    async def GetCapabilities(
        self, _request: artifact_pb.GetCapabilitiesRequest, context: Context
    ) -> artifact_pb.GetCapabilitiesResponse:
        await self._enter("GetCapabilities", context)
        return artifact_pb.GetCapabilitiesResponse(
            server_version="9.9.9",
            chunk_bytes=CHUNK_BYTES,
            max_chunk_bytes=2 * CHUNK_BYTES,
            max_blob_bytes=2**40,
            max_files_per_version=10_000,
            max_find_missing=1000,
            max_batch_blob_bytes=BATCH_BLOB_BYTES if self.states_batches else 0,
            max_batch_bytes=4 * BATCH_BLOB_BYTES if self.states_batches else 0,
            max_batch_blobs=10 if self.states_batches else 0,
        )

    async def FindMissingBlobs(
        self, request: artifact_pb.FindMissingBlobsRequest, context: Context
    ) -> artifact_pb.FindMissingBlobsResponse:
        await self._enter("FindMissingBlobs", context)
        missing = [digest for digest in request.digests if digest not in self.blobs]
        return artifact_pb.FindMissingBlobsResponse(missing_digests=missing)

    async def StartUpload(
        self, request: artifact_pb.StartUploadRequest, context: Context
    ) -> artifact_pb.StartUploadResponse:
        await self._enter("StartUpload", context)
        for uploading in self.uploads.values():
            open_one = uploading.message.state == artifact_pb.UPLOAD_STATE_ACTIVE
            if open_one and uploading.message.digest == request.digest:
                return artifact_pb.StartUploadResponse(upload=uploading.message)
        message = artifact_pb.Upload(
            name=f"{request.parent}/uploads/{len(self.uploads)}",
            state=artifact_pb.UPLOAD_STATE_ACTIVE,
            digest=request.digest,
            size_bytes=request.size_bytes,
            part_size_bytes=PART_BYTES,
        )
        self.uploads[message.name] = Uploading(message, bytearray(request.size_bytes))
        return artifact_pb.StartUploadResponse(upload=message)

    async def GetUpload(
        self, request: artifact_pb.GetUploadRequest, context: Context
    ) -> artifact_pb.GetUploadResponse:
        await self._enter("GetUpload", context)
        uploading = self.uploads[request.name]
        if uploading.message.state == artifact_pb.UPLOAD_STATE_VERIFYING:
            self._commit(uploading)
        return artifact_pb.GetUploadResponse(upload=uploading.message)

    async def WriteUpload(
        self, request_iterator: AsyncIterator[artifact_pb.WriteUploadRequest], context: Context
    ) -> AsyncIterator[object]:
        await self._enter("WriteUpload", context)
        if self.faults.stall_writes:
            self.faults.stall_writes -= 1
            await asyncio.Event().wait()
        budget = self.faults.cut_writes_after.pop(0) if self.faults.cut_writes_after else None
        uploading, start, reached = None, 0, 0
        async for request in request_iterator:
            if request.name:
                uploading = self.uploads[request.name]
                start = reached = request.offset
            assert uploading is not None
            if self.faults.refuse_chunks or google_crc32c.value(request.data) != request.crc32c:
                self.faults.refuse_chunks -= 1
                await fail(context, grpc.StatusCode.DATA_LOSS, "CRC32C_MISMATCH", "bad chunk")
            if request.offset != reached:
                await fail(context, grpc.StatusCode.OUT_OF_RANGE, "OUT_OF_RANGE", "bad offset")
            reached += len(request.data)
            self.received_bytes += len(request.data)
            uploading.content[request.offset : reached] = request.data
            durable = reached if request.finish_stream else reached // PART_BYTES * PART_BYTES
            if durable > start:
                del uploading.message.persisted_ranges[:]
                uploading.message.persisted_ranges.add(start=0, end=durable)
            yield artifact_pb.WriteUploadResponse(
                persisted_offset=durable,
                upload=uploading.message if request.finish_stream else None,
            )
            if budget is not None and reached - start >= budget:
                await fail(context, grpc.StatusCode.UNAVAILABLE, "DRAINING", "server is draining")

    async def CompleteUpload(
        self, request: artifact_pb.CompleteUploadRequest, context: Context
    ) -> artifact_pb.CompleteUploadResponse:
        await self._enter("CompleteUpload", context)
        uploading = self.uploads[request.name]
        digest = f"sha256:{hashlib.sha256(uploading.content).hexdigest()}"
        if digest != uploading.message.digest:
            uploading.message.state = artifact_pb.UPLOAD_STATE_FAILED
            await fail(context, grpc.StatusCode.DATA_LOSS, "DIGEST_MISMATCH", "other bytes")
        uploading.message.state = artifact_pb.UPLOAD_STATE_VERIFYING
        return artifact_pb.CompleteUploadResponse(upload=uploading.message)

    async def AbortUpload(
        self, request: artifact_pb.AbortUploadRequest, context: Context
    ) -> artifact_pb.AbortUploadResponse:
        await self._enter("AbortUpload", context)
        self.uploads[request.name].message.state = artifact_pb.UPLOAD_STATE_ABORTED
        return artifact_pb.AbortUploadResponse(upload=self.uploads[request.name].message)

    async def BatchWriteBlobs(
        self, request: artifact_pb.BatchWriteBlobsRequest, context: Context
    ) -> artifact_pb.BatchWriteBlobsResponse:
        await self._enter("BatchWriteBlobs", context)
        if not self.takes_batches:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        response = artifact_pb.BatchWriteBlobsResponse()
        for blob in request.blobs:
            written = response.blobs.add(digest=blob.digest, size_bytes=len(blob.data))
            self.received_bytes += len(blob.data)
            if blob.digest in self.faults.refuse_in_batches:
                written.status.code = grpc.StatusCode.UNAVAILABLE.value[0]
            else:
                assert blob.digest == f"sha256:{hashlib.sha256(blob.data).hexdigest()}"
                self.blobs[blob.digest] = blob.data
        return response

    async def BatchReadBlobs(
        self, request: artifact_pb.BatchReadBlobsRequest, context: Context
    ) -> artifact_pb.BatchReadBlobsResponse:
        await self._enter("BatchReadBlobs", context)
        if not self.takes_batches:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        response = artifact_pb.BatchReadBlobsResponse()
        for digest in request.digests:
            read = response.blobs.add(digest=digest)
            if digest in self.faults.refuse_in_batches:
                read.status.code = grpc.StatusCode.DATA_LOSS.value[0]
                continue
            read.data = self.blobs[digest]
            read.crc32c = google_crc32c.value(read.data)
            self.served_bytes += len(read.data)
            if self.faults.damage_batches:
                self.faults.damage_batches -= 1
                read.crc32c ^= 1
        return response

    async def ReadBlob(
        self, request: artifact_pb.ReadBlobRequest, context: Context
    ) -> AsyncIterator[object]:
        await self._enter("ReadBlob", context)
        parent, _, path = request.name.partition("/files/")
        file = next(file for file in self.files[parent] if file.path == path)
        content = self.blobs[file.digest]
        budget = self.faults.cut_reads_after.pop(0) if self.faults.cut_reads_after else None
        if budget == 0:
            await fail(context, grpc.StatusCode.UNAVAILABLE, "DRAINING", "server is draining")
        for offset in range(request.offset, len(content), CHUNK_BYTES):
            block = content[offset : offset + CHUNK_BYTES]
            crc32c = google_crc32c.value(block)
            if self.faults.damage_read_chunks:
                self.faults.damage_read_chunks -= 1
                crc32c ^= 1
            self.served_bytes += len(block)
            yield artifact_pb.ReadBlobResponse(offset=offset, crc32c=crc32c, data=block)
            if budget is not None and offset + len(block) - request.offset >= budget:
                await fail(context, grpc.StatusCode.UNAVAILABLE, "DRAINING", "server is draining")

    def _commit(self, uploading: Uploading) -> None:
        uploading.message.state = artifact_pb.UPLOAD_STATE_COMMITTED
        self.blobs[uploading.message.digest] = bytes(uploading.content)

    async def _enter(self, name: str, context: Context) -> None:
        async with self._called:
            self.calls.append(name)
            self._called.notify_all()
        if self.faults.unavailable:
            self.faults.unavailable -= 1
            # Without initial metadata: an RPC that was answered by any is not retried.
            await fail(context, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "try later")

    async def _found(self, where: dict[str, Any], name: str, context: Context) -> Any:
        if name not in where:
            await fail(context, grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f"{name} does not exist")
        return where[name]

    async def _check_etag(self, version: pb.Version, etag: str, context: Context) -> None:
        if etag and etag != version.etag:
            await fail(context, grpc.StatusCode.ABORTED, "STALE_ETAG", "it changed")


async def fail(context: Context, code: grpc.StatusCode, reason: str, message: str) -> None:
    """End the call the way the server does: with ErrorInfo in the status details."""
    details = any_pb2.Any()
    details.Pack(
        error_details_pb2.ErrorInfo(reason=reason, domain="modelkeep", metadata={"k": "v"})
    )
    status = status_pb2.Status(code=code.value[0], message=message, details=[details])
    context.set_trailing_metadata(
        (("grpc-status-details-bin", status.SerializeToString()), ("x-request-id", "req-1"))
    )
    await context.abort(code, message)


async def start(registry: FakeRegistry) -> tuple[grpc.aio.Server, str]:
    """Serve it on a free port of the loopback; answers the server and its endpoint."""
    server = grpc.aio.server()
    registry_grpc.add_RegistryServiceServicer_to_server(registry, server)
    artifact_grpc.add_ArtifactServiceServicer_to_server(registry, server)
    lifecycle_grpc.add_LifecycleServiceServicer_to_server(registry, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"
