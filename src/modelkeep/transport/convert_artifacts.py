"""Crossings of blobs and uploads."""

from collections.abc import AsyncIterator
from functools import partial

from modelkeep.domain import blobs, checks, errors, limits, names, uploads
from modelkeep.service import changes
from modelkeep.transport import convert, limiting, wire_chunks
from modelkeep.transport import errors as wire_errors
from modelkeep.v1 import artifact_service_pb2 as pb

STATES = {
    uploads.UploadState.ACTIVE: pb.UPLOAD_STATE_ACTIVE,
    uploads.UploadState.VERIFYING: pb.UPLOAD_STATE_VERIFYING,
    uploads.UploadState.COMMITTED: pb.UPLOAD_STATE_COMMITTED,
    uploads.UploadState.FAILED: pb.UPLOAD_STATE_FAILED,
    uploads.UploadState.ABORTED: pb.UPLOAD_STATE_ABORTED,
}


def capabilities_to_wire(
    server_version: str, kept: limiting.Limits, *, direct_transfer: bool
) -> pb.GetCapabilitiesResponse:
    """The limits of this build and server, and whether it gives out URLs of its store."""
    return pb.GetCapabilitiesResponse(
        server_version=server_version,
        chunk_bytes=limits.CHUNK_BYTES,
        max_chunk_bytes=limits.MAX_CHUNK_BYTES,
        max_message_bytes=limits.MAX_MESSAGE_BYTES,
        min_part_bytes=limits.MIN_PART_BYTES,
        max_parts=limits.MAX_PARTS,
        max_blob_bytes=limits.MAX_BLOB_BYTES,
        max_streams_per_upload=limits.STREAMS_PER_UPLOAD,
        max_files_per_version=limits.FILES_PER_VERSION,
        max_find_missing=limits.FIND_MISSING,
        max_batch_blob_bytes=limits.BATCH_BLOB_BYTES,
        max_batch_bytes=limits.BATCH_BYTES,
        max_batch_blobs=limits.BATCH_BLOBS,
        direct_transfer=direct_transfer,
        max_transfer_urls=limits.TRANSFER_URLS,
        max_streams=kept.allowances[limiting.Kind.STREAM].at_once,
        max_watches=kept.allowances[limiting.Kind.WATCH].at_once,
        max_streams_per_connection=kept.streams_per_connection,
        max_deadline_seconds=kept.deadline_s,
        min_upload_bytes_per_second=kept.upload_bytes_per_s,
    )


def find_missing_from_wire(
    request: pb.FindMissingBlobsRequest,
) -> tuple[names.NamespaceName, blobs.DigestSet]:
    """Arguments of `Artifacts.find_missing`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        wanted = found.make("", partial(blobs.DigestSet, tuple(request.digests)))
    return parent, wanted


def start_upload_from_wire(
    request: pb.StartUploadRequest,
) -> tuple[changes.Once, names.NamespaceName, blobs.Descriptor]:
    """Arguments of `Uploads.start`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "StartUpload", request))
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        blob = found.make("", partial(blobs.Descriptor, request.digest, request.size_bytes))
    return once, parent, blob


def upload_name_from_wire(request: pb.GetUploadRequest) -> names.UploadName:
    """Argument of `Uploads.get`."""
    with checks.Checks() as found:
        return found.make("name", partial(names.UploadName.parse, request.name))


def closing_from_wire(
    method: str, request: pb.CompleteUploadRequest | pb.AbortUploadRequest
) -> tuple[changes.Once, names.UploadName]:
    """Arguments of `Uploads.complete` and `Uploads.abort`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, method, request))
        name = found.make("name", partial(names.UploadName.parse, request.name))
    return once, name


def read_from_wire(
    request: pb.ReadBlobRequest,
) -> tuple[names.BlobName | names.FileName, blobs.Span]:
    """Arguments of `Artifacts.read`."""
    with checks.Checks() as found:
        name = found.make("name", partial(readable_name, request.name))
        span = found.make("", partial(blobs.Span, request.offset, request.limit))
    return name, span


def readable_name(text: str) -> names.BlobName | names.FileName:
    """The name of a blob or of a version's file; raises `errors.InvalidArgument`."""
    if "/models/" in text:
        return names.FileName.parse(text)
    return names.BlobName.parse(text)


async def stream_from_wire(
    requests: AsyncIterator[wire_chunks.WriteMessage],
) -> tuple[names.UploadName, AsyncIterator[uploads.Piece]]:
    """The upload that the first message names, and all messages as pieces."""
    first = await anext(requests, None)
    if first is None or not first.fields.name:
        raise errors.invalid("must name the upload in the first message", "name")
    piece = piece_from_wire(first)
    if piece.name is None:
        raise AssertionError("a piece has the name of its message")
    return piece.name, _pieces(piece, requests)


async def _pieces(
    first: uploads.Piece, requests: AsyncIterator[wire_chunks.WriteMessage]
) -> AsyncIterator[uploads.Piece]:
    yield first
    del first  # it holds a chunk
    async for request in requests:
        yield piece_from_wire(request)


def piece_from_wire(message: wire_chunks.WriteMessage) -> uploads.Piece:
    """One message of a stream."""
    request = message.fields
    with checks.Checks() as found:
        name = (
            found.make("name", partial(names.UploadName.parse, request.name))
            if request.name
            else None
        )
        return found.make(
            "",
            partial(
                uploads.Piece,
                name,
                request.offset,
                message.content,
                request.crc32c if request.HasField("crc32c") else None,
                request.state_lookup,
                request.finish_stream,
            ),
        )


def progress_to_wire(progress: uploads.Progress) -> pb.WriteUploadResponse:
    """One answer to a stream."""
    return pb.WriteUploadResponse(
        persisted_offset=progress.persisted_offset,
        upload=upload_to_wire(progress.upload) if progress.upload else None,
    )


def failure_to_wire(error: errors.ModelkeepError, persisted_offset: int) -> pb.WriteUploadResponse:
    """The last answer to a stream that fails; what was durable stays so."""
    return pb.WriteUploadResponse(
        persisted_offset=persisted_offset, failure=wire_errors.details_of(error)
    )


def upload_to_wire(upload: uploads.Upload) -> pb.Upload:
    """An upload as it stands."""
    return pb.Upload(
        name=str(upload.name),
        state=STATES[upload.state],
        digest=upload.digest,
        size_bytes=upload.layout.size_bytes,
        part_size_bytes=upload.layout.part_size_bytes,
        persisted_ranges=[
            pb.ByteRange(start=each.start, end=each.end) for each in upload.persisted
        ],
        create_time=convert.timestamp_to_wire(upload.created_at),
        expire_time=convert.timestamp_to_wire(upload.expires_at),
        creator=upload.creator,
    )
