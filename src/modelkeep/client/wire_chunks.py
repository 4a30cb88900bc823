"""The two messages that carry file content, written and read without needless copies.

`data` has the highest field number of both, so it stands last: what comes before it is a small
message of its own, and the content is joined to it or cut from it. Through protobuf every byte
would be copied once or twice more, on the event loop. On the wire it is the same message.
"""

from dataclasses import dataclass

from modelkeep.client import chunks
from modelkeep.v1 import artifact_service_pb2 as pb

_DATA_TAG = b"\x7a"
"""Field 15, length-delimited: (15 << 3) | 2."""
_SEVEN_BITS = 0x7F
_MORE = 0x80
_LENGTH_DELIMITED, _VARINT, _FIXED32 = 2, 0, 5


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
    return b"".join((head, _DATA_TAG, _varint(len(chunk.content)), chunk.content))


def read_message(raw: bytes) -> ReadChunk:
    """The chunk in a serialized `ReadBlobResponse`; DecodeError if it is not one."""
    tag_at = _data_at(raw)
    if tag_at is None:
        return _read(pb.ReadBlobResponse.FromString(raw), None)
    size, start = _read_varint(raw, tag_at + 1)
    if start + size != len(raw):
        # Content is not last, which is allowed and nobody does: let protobuf read it.
        return _read(pb.ReadBlobResponse.FromString(raw), None)
    return _read(pb.ReadBlobResponse.FromString(raw[:tag_at]), raw[start:])


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


def _data_at(raw: bytes) -> int | None:
    """Where the tag of `data` is, found by walking over the fields before it."""
    at = 0
    while at < len(raw) and raw[at] != _DATA_TAG[0]:
        kind = raw[at] & 0b111
        if kind == _VARINT:
            _, at = _read_varint(raw, at + 1)
        elif kind == _FIXED32:
            at += 5
        elif kind == _LENGTH_DELIMITED:
            size, start = _read_varint(raw, at + 1)
            at = start + size
        else:
            return None
        if at > len(raw):
            return None
    return at if at < len(raw) else None


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > _SEVEN_BITS:
        digits.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = shift = 0
    while at < len(raw):
        digit = raw[at]
        number |= (digit & _SEVEN_BITS) << shift
        shift += 7
        at += 1
        if not digit & _MORE:
            break
    return number, at
