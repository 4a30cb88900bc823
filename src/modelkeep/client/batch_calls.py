"""The calls that carry many small blobs at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import google_crc32c
import grpc

from modelkeep.client import calls, connection, refs
from modelkeep.v1 import artifact_service_pb2 as pb

_CODES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}
_OK = grpc.StatusCode.OK.name


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobOutcome:
    """How one blob of a batch fared; `code` is OK or says with `reason` and `message` why not.

    `content` is what was read, and empty after a write.
    """

    digest: str
    code: str
    reason: str
    message: str
    content: bytes = b""

    @property
    def is_ok(self) -> bool:
        """Whether the registry holds the blob, or `content` is the blob."""
        return self.code == _OK


class BatchCalls(connection.Connection):
    """Small blobs, many in one call; `Capabilities` has the limits."""

    async def write_blobs(
        self, namespace: str, blobs: Iterable[tuple[str, bytes]]
    ) -> list[BlobOutcome]:
        """Have the namespace hold blobs, given by digest and bytes; one outcome each, in order."""
        request = pb.BatchWriteBlobsRequest(
            parent=refs.parse_namespace(namespace).namespace_name,
            blobs=[pb.SmallBlob(digest=digest, data=content) for digest, content in blobs],
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._artifacts.BatchWriteBlobs, request)
        return [_outcome(blob.digest, blob.status) for blob in response.blobs]

    async def read_blobs(self, namespace: str, digests: Sequence[str]) -> list[BlobOutcome]:
        """Read small blobs of a namespace; one outcome for each digest, in order.

        A blob for which the answer had no room is RESOURCE_EXHAUSTED, to be asked for again.
        """
        request = pb.BatchReadBlobsRequest(
            parent=refs.parse_namespace(namespace).namespace_name, digests=digests
        )
        response = await self._call(self._artifacts.BatchReadBlobs, request)
        return [_read(blob) for blob in response.blobs]


def _read(blob: pb.ReadSmallBlob) -> BlobOutcome:
    content = blob.data
    if blob.HasField("crc32c") and google_crc32c.value(content) != blob.crc32c:
        return BlobOutcome(
            digest=blob.digest,
            code=grpc.StatusCode.DATA_LOSS.name,
            reason="CHUNK_CHECKSUM",
            message=f"The bytes of {blob.digest} arrived damaged; read them again.",
        )
    return _outcome(blob.digest, blob.status, content)


def _outcome(digest: str, status: pb.BlobStatus, content: bytes = b"") -> BlobOutcome:
    return BlobOutcome(
        digest=digest,
        code=_CODES.get(status.code, grpc.StatusCode.UNKNOWN.name),
        reason=status.reason,
        message=status.message,
        content=content,
    )
