"""Messages with content, written and read beside protobuf: the wire must not tell."""

import os

import pytest
from google.protobuf import message as pb_message

from modelkeep.client import chunks, wire_chunks
from modelkeep.v1 import artifact_service_pb2 as pb


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_384, 1024 * 1024])
@pytest.mark.parametrize("finish", [True, False])
def test_a_request_reads_as_the_one_protobuf_writes(size: int, finish: bool) -> None:
    content = os.urandom(size)
    raw = wire_chunks.upload_message("u/1", chunks.Chunk(2**40, content, 7), finish=finish)
    assert pb.WriteUploadRequest.FromString(raw) == pb.WriteUploadRequest(
        name="u/1", offset=2**40, crc32c=7, data=content, finish_stream=finish
    )


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_384, 1024 * 1024])
@pytest.mark.parametrize("crc32c", [None, 0, 2**32 - 1])
def test_a_response_of_protobuf_is_read(size: int, crc32c: int | None) -> None:
    content = os.urandom(size)
    blob = pb.BlobDescriptor(digest="sha256:z", size_bytes=5)
    raw = pb.ReadBlobResponse(offset=2**40, crc32c=crc32c, blob=blob, data=content)
    read = wire_chunks.read_message(raw.SerializeToString())
    assert read == wire_chunks.ReadChunk(2**40, crc32c, content, "sha256:z", 5)


def test_content_that_does_not_stand_last_is_read_too() -> None:
    tail = pb.ReadBlobResponse(offset=9).SerializeToString()
    raw = pb.ReadBlobResponse(data=b"content").SerializeToString() + tail
    assert wire_chunks.read_message(raw) == wire_chunks.ReadChunk(9, None, b"content")


def test_unknown_fields_before_the_content_are_passed_over() -> None:
    unknown = b"\x20\xff\x01" + b"\x2a\x03abc" + b"\x35\x00\x00\x00\x00"
    raw = unknown + pb.ReadBlobResponse(offset=1, data=b"x").SerializeToString()
    assert wire_chunks.read_message(raw) == wire_chunks.ReadChunk(1, None, b"x")


@pytest.mark.parametrize("raw", [b"\x7a\xff", b"\x7a\x05ab", b"\x0a", b"\x1a\xff\x01x", b"\xff"])
def test_what_is_no_message_is_not_read(raw: bytes) -> None:
    with pytest.raises(pb_message.DecodeError):
        wire_chunks.read_message(raw)
