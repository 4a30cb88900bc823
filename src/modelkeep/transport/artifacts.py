"""ArtifactService: a table of contents."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import modelkeep
from modelkeep.authz import caller as callers
from modelkeep.service import artifacts, batches, uploads
from modelkeep.transport import convert_artifacts as crossing
from modelkeep.transport import convert_batches
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import artifact_service_pb2_grpc as pb_grpc


class ArtifactServicer(pb_grpc.ArtifactServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(
        self, artifacts: artifacts.Artifacts, uploads: uploads.Uploads, batches: batches.Batches
    ) -> None:
        self._artifacts = artifacts
        self._uploads = uploads
        self._batches = batches

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Any
    ) -> pb.GetCapabilitiesResponse:
        return crossing.capabilities_to_wire(modelkeep.__version__)

    async def FindMissingBlobs(
        self, request: pb.FindMissingBlobsRequest, context: Any
    ) -> pb.FindMissingBlobsResponse:
        missing = await self._artifacts.find_missing(
            callers.current(), *crossing.find_missing_from_wire(request)
        )
        return pb.FindMissingBlobsResponse(missing_digests=missing)

    async def StartUpload(
        self, request: pb.StartUploadRequest, context: Any
    ) -> pb.StartUploadResponse:
        upload = await self._uploads.start(
            callers.current(), *crossing.start_upload_from_wire(request)
        )
        return pb.StartUploadResponse(upload=crossing.upload_to_wire(upload))

    async def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.GetUploadResponse:
        upload = await self._uploads.get(callers.current(), crossing.upload_name_from_wire(request))
        return pb.GetUploadResponse(upload=crossing.upload_to_wire(upload))

    async def WriteUpload(
        self, request_iterator: AsyncIterator[pb.WriteUploadRequest], context: Any
    ) -> AsyncIterator[pb.WriteUploadResponse]:
        stream = await crossing.stream_from_wire(request_iterator)
        writing = self._uploads.write(callers.current(), *stream)
        async with contextlib.aclosing(writing):
            async for progress in writing:
                yield crossing.progress_to_wire(progress)

    async def CompleteUpload(
        self, request: pb.CompleteUploadRequest, context: Any
    ) -> pb.CompleteUploadResponse:
        upload = await self._uploads.complete(
            callers.current(), *crossing.closing_from_wire("CompleteUpload", request)
        )
        return pb.CompleteUploadResponse(upload=crossing.upload_to_wire(upload))

    async def AbortUpload(
        self, request: pb.AbortUploadRequest, context: Any
    ) -> pb.AbortUploadResponse:
        upload = await self._uploads.abort(
            callers.current(), *crossing.closing_from_wire("AbortUpload", request)
        )
        return pb.AbortUploadResponse(upload=crossing.upload_to_wire(upload))

    async def BatchWriteBlobs(
        self, request: pb.BatchWriteBlobsRequest, context: Any
    ) -> pb.BatchWriteBlobsResponse:
        written = await self._batches.write(
            callers.current(), *convert_batches.write_from_wire(request)
        )
        return convert_batches.written_to_wire(written)

    async def BatchReadBlobs(
        self, request: pb.BatchReadBlobsRequest, context: Any
    ) -> pb.BatchReadBlobsResponse:
        read = await self._batches.read(callers.current(), *convert_batches.read_from_wire(request))
        return convert_batches.read_to_wire(read)

    async def ReadBlob(
        self, request: pb.ReadBlobRequest, context: Any
    ) -> AsyncIterator[pb.ReadBlobResponse]:
        reading = self._artifacts.read(callers.current(), *crossing.read_from_wire(request))
        async with contextlib.aclosing(reading):
            async for chunk in reading:
                yield crossing.chunk_to_wire(chunk)
