"""Content cut out of messages without protobuf: whatever the bytes are, the same comes out."""

import os
from collections.abc import Callable
from typing import TypeVar

import pytest
from google.protobuf import message as pb_message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelkeep import wire_content
from modelkeep.client import wire_chunks as client_chunks
from modelkeep.domain import blobs
from modelkeep.transport import wire_chunks
from modelkeep.v1 import artifact_service_pb2 as pb

_R = TypeVar("_R")

requests = st.builds(
    pb.WriteUploadRequest,
    name=st.text(max_size=20),
    offset=st.integers(-(2**63), 2**63 - 1),
    crc32c=st.none() | st.integers(0, 2**32 - 1),
    state_lookup=st.booleans(),
    finish_stream=st.booleans(),
    data=st.binary(max_size=300),
)


def _or_malformed(read: Callable[[bytes], _R], raw: bytes) -> _R | None:
    try:
        return read(raw)
    except pb_message.DecodeError:
        return None


def _plainly(raw: bytes) -> tuple[object, ...] | None:
    message = _or_malformed(pb.WriteUploadRequest.FromString, raw)
    return None if message is None else (*_fields(message), message.data)


def _by_us(raw: bytes) -> tuple[object, ...] | None:
    read = _or_malformed(wire_chunks.read_write_upload, raw)
    return None if read is None else (*_fields(read.fields), read.content)


def _fields(message: pb.WriteUploadRequest) -> tuple[object, ...]:
    crc32c = message.crc32c if message.HasField("crc32c") else None
    return (
        message.name,
        message.offset,
        crc32c,
        message.state_lookup,
        message.finish_stream,
    )


@given(requests)
def test_every_request_is_read_as_protobuf_reads_it(message: pb.WriteUploadRequest) -> None:
    raw = message.SerializeToString()
    assert _by_us(raw) == _plainly(raw) is not None


@settings(max_examples=1000)
@given(requests, st.data())
def test_a_request_with_bytes_changed_is_read_as_protobuf_reads_it(
    message: pb.WriteUploadRequest, draw: st.DataObject
) -> None:
    raw = bytearray(message.SerializeToString())
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(raw)))
        raw[at : at + draw.draw(st.integers(0, 2))] = draw.draw(st.binary(max_size=3))
    assert _by_us(bytes(raw)) == _plainly(bytes(raw))


@settings(max_examples=1000)
@given(st.binary(max_size=60))
@example(b"\x82\x01\x01\x7a\x7a\x01x")  # field 16 holds what looks like the tag of field 15
@example(b"\x7a\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00x")  # a length longer than any is
@example(b"\xfa\x00\x01x")  # the tag written in more bytes than it needs
@example(b"\x7a\x01x\x7a\x01y")  # twice: the last counts
@example(b"\x79\x00\x00\x00\x00\x00\x00\x00\x00\x7a\x01x")  # field 15 of another type
@example(b"\x7b\x7a\x01x\x7c")  # a group
def test_any_bytes_are_read_as_protobuf_reads_them(raw: bytes) -> None:
    assert _by_us(raw) == _plainly(raw)


@given(
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
    st.none() | st.integers(0, 2**62),
)
def test_an_answer_is_written_as_protobuf_reads_it(
    offset: int, crc32c: int, content: bytes, size_bytes: int | None
) -> None:
    digest = f"sha256:{'0' * 64}"
    blob = None if size_bytes is None else blobs.Descriptor(digest, 5)
    raw = wire_chunks.write_read_blob(blobs.Chunk(offset, content, crc32c, blob))
    told = None if blob is None else pb.BlobDescriptor(digest=digest, size_bytes=5)
    assert pb.ReadBlobResponse.FromString(raw) == pb.ReadBlobResponse(
        offset=offset, crc32c=crc32c, blob=told, data=content
    )
    assert client_chunks.read_message(raw).content == content


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 1024 * 1024])
def test_what_was_joined_is_cut_again(size: int) -> None:
    content = os.urandom(size)
    head = pb.WriteUploadRequest(name="u/1", offset=2**40, crc32c=7).SerializeToString()
    assert wire_content.cut(wire_content.joined(head, content)) == (head, content)
