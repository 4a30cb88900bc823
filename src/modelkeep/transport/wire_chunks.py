"""The two messages that carry content, read and written without needless copies.

On the wire they are what protobuf would write; see `wire_content`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelkeep import wire_content
from modelkeep.domain import blobs
from modelkeep.v1 import artifact_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class WriteMessage:
    """A `WriteUploadRequest` whose `data` stands beside it, not in it."""

    fields: pb.WriteUploadRequest
    content: bytes


def read_write_upload(raw: bytes) -> WriteMessage:
    """A serialized `WriteUploadRequest`; DecodeError if it is none."""
    found = wire_content.cut(raw)
    if found is None:
        # Content is not last, which is allowed and nobody does, or there is none.
        fields = pb.WriteUploadRequest.FromString(raw)
        return WriteMessage(fields, fields.data)
    head, content = found
    return WriteMessage(pb.WriteUploadRequest.FromString(head), content)


def write_read_blob(chunk: blobs.Chunk) -> bytes:
    """The serialized `ReadBlobResponse` of a chunk."""
    response = pb.ReadBlobResponse(offset=chunk.offset, crc32c=chunk.crc32c)
    if chunk.blob is not None:
        response.blob.digest = chunk.blob.digest
        response.blob.size_bytes = chunk.blob.size_bytes
    return wire_content.joined(response.SerializeToString(), chunk.content)


READERS: Mapping[str, Callable[[bytes], Any]] = {"WriteUpload": read_write_upload}
"""By method: reads requests in place of protobuf."""
WRITERS: Mapping[str, Callable[[Any], bytes]] = {"ReadBlob": write_read_blob}
"""By method: writes answers in place of protobuf."""
