"""Crossings of batches of small blobs."""

from functools import partial

import grpc

from modelkeep.domain import batches, checks, limits, names
from modelkeep.transport import convert
from modelkeep.v1 import artifact_service_pb2 as pb


def write_from_wire(
    request: pb.BatchWriteBlobsRequest,
) -> tuple[str, names.NamespaceName, batches.Batch]:
    """Arguments of `Batches.write`."""
    with checks.Checks() as found:
        request_id = found.make("", partial(convert.request_id_from_wire, request.request_id))
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        blobs = found.make_each(
            "blobs",
            (
                partial(batches.SmallBlob, blob.digest, blob.data)
                for blob in request.blobs[: limits.BATCH_BLOBS]
            ),
        )
        found.size("blobs", request.blobs, limits.BATCH_BLOBS, least=1)
    return request_id, parent, batches.Batch(blobs)


def written_to_wire(written: tuple[batches.Written, ...]) -> pb.BatchWriteBlobsResponse:
    """The answer to a batch that was written."""
    return pb.BatchWriteBlobsResponse(
        blobs=[
            pb.WrittenBlob(
                digest=blob.digest, size_bytes=blob.size_bytes, status=_status_to_wire(blob.fate)
            )
            for blob in written
        ]
    )


def read_from_wire(
    request: pb.BatchReadBlobsRequest,
) -> tuple[names.NamespaceName, batches.Wanted]:
    """Arguments of `Batches.read`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        wanted = found.make("", partial(batches.Wanted, tuple(request.digests)))
    return parent, wanted


def read_to_wire(read: tuple[batches.Read, ...]) -> pb.BatchReadBlobsResponse:
    """The answer to a batch that was read."""
    return pb.BatchReadBlobsResponse(
        blobs=[
            pb.ReadSmallBlob(
                digest=blob.digest,
                crc32c=blob.crc32c,
                status=_status_to_wire(blob.fate),
                data=blob.content,
            )
            for blob in read
        ]
    )


def _status_to_wire(fate: batches.Fate) -> pb.BlobStatus:
    code = grpc.StatusCode[fate.verdict.name].value[0]
    return pb.BlobStatus(code=code, reason=fate.reason, message=fate.message)
