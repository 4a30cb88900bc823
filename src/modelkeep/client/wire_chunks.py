"""The two messages that carry file content, written and read without needless copies.

On the wire they are what protobuf would write; see `wire_content`.
"""

from dataclasses import dataclass

from modelkeep import wire_content
from modelkeep.client import chunks
from modelkeep.v1 import artifact_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """What a `ReadBlobResponse` carries; `crc32c` is None if the server sent none.

    `digest` and `size_bytes` are the whole blob's, with the first chunk only.
    """

    offset: int
    crc32c: int | None
    content: bytes
    digest: str = ""
    size_bytes: int = 0


def upload_message(upload_name: str, chunk: chunks.Chunk, *, finish: bool) -> bytes:
    """The serialized `WriteUploadRequest` of a chunk; `finish` if it is the stream's last."""
    head = pb.WriteUploadRequest(
        name=upload_name, offset=chunk.offset, crc32c=chunk.crc32c, finish_stream=finish
    ).SerializeToString()
    return wire_content.joined(head, chunk.content)


def read_message(raw: bytes) -> ReadChunk:
    """The chunk in a serialized `ReadBlobResponse`; DecodeError if it is not one."""
    found = wire_content.cut(raw)
    if found is None:
        # Content is not last, which is allowed and nobody does: let protobuf read it.
        return _read(pb.ReadBlobResponse.FromString(raw), None)
    head, content = found
    return _read(pb.ReadBlobResponse.FromString(head), content)


def _read(message: pb.ReadBlobResponse, content: bytes | None) -> ReadChunk:
    crc32c = message.crc32c if message.HasField("crc32c") else None
    blob = message.blob
    return ReadChunk(
        message.offset,
        crc32c,
        message.data if content is None else content,
        blob.digest,
        blob.size_bytes,
    )
