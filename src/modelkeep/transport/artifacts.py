"""ArtifactService: a table of contents."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import modelkeep
from modelkeep.authz import caller as callers
from modelkeep.domain import errors
from modelkeep.service import usecases
from modelkeep.transport import convert_artifacts as crossing
from modelkeep.transport import (
    convert_batches,
    convert_garbage,
    convert_moves,
    convert_soundness,
    convert_transfers,
    limiting,
    page_tokens,
)
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import artifact_service_pb2_grpc as pb_grpc


class ArtifactServicer(pb_grpc.ArtifactServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(
        self,
        artifact: usecases.Artifact,
        tokens: page_tokens.PageTokens,
        kept: limiting.Limits,
    ) -> None:
        self._artifacts = artifact.artifacts
        self._uploads = artifact.uploads
        self._batches = artifact.batches
        self._transfers = artifact.transfers
        self._checks = artifact.checks
        self._collecting = artifact.collecting
        self._model_copying = artifact.model_copying
        self._tokens = tokens
        self._kept = kept

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Any
    ) -> pb.GetCapabilitiesResponse:
        return crossing.capabilities_to_wire(
            modelkeep.__version__, self._kept, direct_transfer=self._transfers.offered
        )

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

    async def ListUploads(
        self, request: pb.ListUploadsRequest, context: Any
    ) -> pb.ListUploadsResponse:
        asked = convert_garbage.list_uploads_from_wire(self._tokens, request)
        page = await self._uploads.list(callers.current(), *asked)
        response = pb.ListUploadsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.uploads, crossing.upload_to_wire
        )
        return response

    async def WriteUpload(
        self, request_iterator: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[pb.WriteUploadResponse]:
        # wire_chunks.WriteMessage, as the interceptor reads them
        answer = pb.WriteUploadResponse()
        try:
            stream = await crossing.stream_from_wire(request_iterator)
            writing = self._uploads.write(callers.current(), *stream)
            async with contextlib.aclosing(writing):
                async for progress in writing:
                    answer = crossing.progress_to_wire(progress)
                    yield answer
        except errors.ModelkeepError as error:
            yield crossing.failure_to_wire(error, answer.persisted_offset)
            raise

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

    async def ReadBlob(self, request: pb.ReadBlobRequest, context: Any) -> AsyncIterator[Any]:
        # blobs.Chunk, which the interceptor writes as wire_chunks says
        reading = self._artifacts.read(callers.current(), *crossing.read_from_wire(request))
        async with contextlib.aclosing(reading):
            async for chunk in reading:
                yield chunk

    async def CreateTransferUrls(
        self, request: pb.CreateTransferUrlsRequest, context: Any
    ) -> pb.CreateTransferUrlsResponse:
        wanted = convert_transfers.wanted_from_wire(request)
        if isinstance(wanted, convert_transfers.Sending):
            sending = await self._transfers.send_urls(callers.current(), wanted.name, wanted.parts)
            return convert_transfers.part_urls_to_wire(sending)
        reading = await self._transfers.read_urls(callers.current(), wanted.name, wanted.span)
        return convert_transfers.range_urls_to_wire(reading)

    async def ConfirmParts(
        self, request: pb.ConfirmPartsRequest, context: Any
    ) -> pb.ConfirmPartsResponse:
        upload = await self._transfers.confirm(
            callers.current(), *convert_transfers.confirm_from_wire(request)
        )
        return pb.ConfirmPartsResponse(upload=crossing.upload_to_wire(upload))

    async def VerifyVersion(
        self, request: pb.VerifyVersionRequest, context: Any
    ) -> AsyncIterator[pb.VerifyVersionResponse]:
        checking = self._checks.verify(
            callers.current(), convert_soundness.verify_from_wire(request)
        )
        async with contextlib.aclosing(checking):
            async for told in checking:
                yield convert_soundness.rereading_to_wire(told)

    async def CopyModelBlobs(
        self, request: pb.CopyModelBlobsRequest, context: Any
    ) -> AsyncIterator[pb.CopyModelBlobsResponse]:
        copying = self._model_copying.copy(
            callers.current(), *convert_moves.copy_from_wire(request)
        )
        async with contextlib.aclosing(copying):
            async for progress in copying:
                yield convert_moves.progress_to_wire(progress)

    async def CollectGarbage(
        self, request: pb.CollectGarbageRequest, context: Any
    ) -> pb.CollectGarbageResponse:
        asked = convert_garbage.collect_from_wire(self._tokens, request)
        sweep = await self._collecting.collect(callers.current(), *asked, dry_run=request.dry_run)
        return convert_garbage.sweep_to_wire(self._tokens, request, sweep, self._collecting.grace)
