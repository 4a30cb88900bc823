"""Calls about bytes: limits, what is missing, uploads, and reading."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import google_crc32c
import grpc

from modelkeep.client import (
    calls,
    connection,
    convert,
    errors,
    records,
    refs,
    rpc_errors,
    wire_chunks,
)
from modelkeep.v1 import artifact_service_pb2 as pb

if TYPE_CHECKING:
    Writing = grpc.aio.StreamStreamCall[bytes, pb.WriteUploadResponse]
    Reading = grpc.aio.UnaryStreamCall[bytes, wire_chunks.ReadChunk]

_COMPLETE_TIMEOUT_S = 300.0
"""The server may read the bytes back before it answers CompleteUpload."""


class BlobCalls(connection.Connection):
    """The calls push and pull are made of."""

    @property
    def write_upload(self) -> "Callable[[int], Writing]":
        """Begins a WriteUpload that takes serialized requests (see wire_chunks).

        Its argument is the number of a line: calls on other lines go over other connections.
        """
        return self._write_upload

    def _write_upload(self, line: int) -> "Writing":
        method = self._line(line).stream_stream(
            "/modelkeep.v1.ArtifactService/WriteUpload",
            request_serializer=_as_it_is,
            response_deserializer=pb.WriteUploadResponse.FromString,
        )
        call: Writing = method()
        return call

    async def capabilities(self, *, timeout_s: float | None = None) -> records.Capabilities:
        """What this server accepts."""
        response = await self._call(
            self._artifacts.GetCapabilities, pb.GetCapabilitiesRequest(), timeout_s=timeout_s
        )
        return convert.capabilities_from_wire(response)

    async def find_missing(self, namespace: str, digests: Sequence[str]) -> list[str]:
        """Which of at most 1,000 digests the namespace does not hold."""
        request = pb.FindMissingBlobsRequest(
            parent=refs.parse_namespace(namespace).namespace_name, digests=digests
        )
        response = await self._call(self._artifacts.FindMissingBlobs, request)
        return list(response.missing_digests)

    async def start_upload(self, namespace: str, digest: str, size_bytes: int) -> records.Upload:
        """Open an upload, or get the open one of the same digest back."""
        request = pb.StartUploadRequest(
            parent=refs.parse_namespace(namespace).namespace_name,
            digest=digest,
            size_bytes=size_bytes,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._artifacts.StartUpload, request)
        return convert.upload_from_wire(response.upload)

    async def get_upload(self, name: str) -> records.Upload:
        """The truth about an upload, or NotFound."""
        response = await self._call(self._artifacts.GetUpload, pb.GetUploadRequest(name=name))
        return convert.upload_from_wire(response.upload)

    async def complete_upload(self, name: str) -> records.Upload:
        """Have an upload verified whose bytes are all durable; DataLoss if they are wrong."""
        request = pb.CompleteUploadRequest(name=name, request_id=calls.new_request_id())
        response = await self._call(
            self._artifacts.CompleteUpload, request, timeout_s=_COMPLETE_TIMEOUT_S
        )
        return convert.upload_from_wire(response.upload)

    async def abort_upload(self, name: str) -> records.Upload:
        """Give an upload up."""
        request = pb.AbortUploadRequest(name=name, request_id=calls.new_request_id())
        response = await self._call(self._artifacts.AbortUpload, request)
        return convert.upload_from_wire(response.upload)

    async def read_blob(
        self, version: str, path: str, *, offset: int = 0, limit: int = 0
    ) -> AsyncIterator[bytes]:
        """Stream a file of a version, or `limit` bytes of it from `offset` (0: to the end).

        Raises:
            DataLoss: a chunk's checksum is wrong.
            RegistryError: the stream failed; read on from the bytes already received.
        """
        name = f"{refs.parse_version(version).version_name}/files/{path}"
        async for data in self.read_named_blob(name, offset=offset, limit=limit):
            yield data

    async def read_named_blob(
        self, name: str, *, offset: int = 0, limit: int = 0, stall_s: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Stream a blob by its resource name; see `read_blob`.

        With `stall_s`, Unavailable is raised if nothing arrives for that many seconds.
        """
        reading = self._read_chunks(name, offset, limit, stall_s)
        async with contextlib.aclosing(reading):
            async for chunk in reading:
                yield chunk.content

    async def _read_chunks(
        self, name: str, offset: int, limit: int, stall_s: float | None
    ) -> "AsyncGenerator[wire_chunks.ReadChunk, None]":
        request = pb.ReadBlobRequest(name=name, offset=offset, limit=limit)
        stream = self._channel.unary_stream(
            "/modelkeep.v1.ArtifactService/ReadBlob",
            request_serializer=_as_it_is,
            response_deserializer=wire_chunks.read_message,
        )
        call: Reading = stream(request.SerializeToString())
        expected = offset
        try:
            while (chunk := await _next(call, stall_s)) is not None:
                _check(chunk, expected, name)
                expected += len(chunk.content)
                yield chunk
        except grpc.aio.AioRpcError as failure:
            raise rpc_errors.from_rpc(failure) from failure
        finally:
            call.cancel()


def _as_it_is(serialized: bytes) -> bytes:
    return serialized


async def _next(call: "Reading", stall_s: float | None) -> wire_chunks.ReadChunk | None:
    try:
        async with asyncio.timeout(stall_s):
            chunk = await call.read()
    except TimeoutError as failure:
        raise errors.Unavailable(
            f"The server sent no bytes for {stall_s:g} seconds.", reason="STALLED"
        ) from failure
    return chunk if isinstance(chunk, wire_chunks.ReadChunk) else None


def _check(chunk: wire_chunks.ReadChunk, expected_offset: int, name: str) -> None:
    if chunk.offset != expected_offset:
        raise errors.DataLoss(
            f"The server sent byte {chunk.offset} of {name} where {expected_offset} was next;"
            " pull again.",
            reason="WRONG_OFFSET",
        )
    if chunk.crc32c is not None and google_crc32c.value(chunk.content) != chunk.crc32c:
        raise errors.DataLoss(
            f"Bytes of {name} at {chunk.offset} arrived damaged; pull again.",
            reason="CHUNK_CHECKSUM",
        )
