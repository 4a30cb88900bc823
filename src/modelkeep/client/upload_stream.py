"""One WriteUpload stream: a contiguous range of one upload, and what the server says to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

import grpc

from modelkeep.client import chunks, errors, rpc_errors, wire_chunks
from modelkeep.v1 import artifact_service_pb2 as pb

if TYPE_CHECKING:
    Call = grpc.aio.StreamStreamCall[bytes, pb.WriteUploadResponse]


_CUT_CODES = frozenset({"INTERNAL", "UNKNOWN", "CANCELLED"})


class Ear(Protocol):
    """Hears how a stream gets on."""

    def sent(self, chunk: chunks.Chunk) -> None:
        """The chunk went over the wire."""

    def durable(self, offset: int) -> None:
        """The bytes of the stream below the offset need never be sent again."""


async def send(
    call: "Call",
    upload_name: str,
    content: AsyncIterator[chunks.Chunk],
    end: int,
    *,
    ear: Ear,
    stall_s: float,
) -> None:
    """Send the chunks, the last of which reaches `end`, and return when all are durable.

    The call, a fresh one that takes serialized requests, is over afterwards in any case.

    Raises:
        Unavailable: the server neither took nor acknowledged anything for `stall_s` seconds.
        RegistryError: the stream was cut or refused; ask for the upload's state and go on.
    """
    try:
        async with asyncio.timeout(stall_s) as limit:
            await _exchange(call, upload_name, content, end, _Watch(ear, limit, stall_s))
    except grpc.aio.AioRpcError as failure:
        raise _in_our_words(rpc_errors.from_rpc(failure)) from failure
    except TimeoutError as failure:
        raise errors.Unavailable(
            f"The server took no bytes for {stall_s:g} seconds.", reason="STALLED"
        ) from failure
    finally:
        call.cancel()


def _in_our_words(error: errors.RegistryError) -> errors.RegistryError:
    if isinstance(error, errors.DataLoss):
        # A chunk was damaged on its way: the part is sent again. Wrong content shows later.
        return errors.Unavailable(error.message, reason="CHUNK_DAMAGED", metadata=error.metadata)
    if error.reason == error.code and error.code in _CUT_CODES:
        # gRPC's own words ("Internal error from Core"); the server gives its errors a reason.
        return errors.Unavailable("The connection was lost during the upload.", reason="CUT")
    return error


class _Watch:
    """Passes on what happens and starts the time limit anew each time."""

    def __init__(self, ear: Ear, limit: asyncio.Timeout, stall_s: float) -> None:
        self._ear = ear
        self._limit = limit
        self._stall_s = stall_s

    def sent(self, chunk: chunks.Chunk) -> None:
        self._restart()
        self._ear.sent(chunk)

    def durable(self, offset: int) -> None:
        self._restart()
        self._ear.durable(offset)

    def _restart(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time() + self._stall_s)


async def _exchange(
    call: "Call",
    upload_name: str,
    content: AsyncIterator[chunks.Chunk],
    end: int,
    watch: _Watch,
) -> None:
    # Only read() and write(): a call must not be used as an iterator as well (grpc#35061).
    answers = asyncio.create_task(_listen(call, watch))
    try:
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            # The call ended while we wrote; the answers say why.
            await _write(call, upload_name, content, end, watch)
        if not await answers:
            raise errors.Unavailable("The server ended the upload early.", reason="CUT")
    finally:
        call.cancel()
        answers.cancel()
        await asyncio.gather(answers, return_exceptions=True)


async def _write(
    call: "Call",
    upload_name: str,
    content: AsyncIterator[chunks.Chunk],
    end: int,
    watch: _Watch,
) -> None:
    name = upload_name
    async for chunk in content:
        is_last = chunk.offset + len(chunk.content) == end
        await call.write(wire_chunks.upload_message(name, chunk, finish=is_last))
        watch.sent(chunk)
        name = ""
    await call.done_writing()


async def _listen(call: "Call", watch: _Watch) -> bool:
    """Hear the server out; answers whether it confirmed the whole stream."""
    confirmed = False
    while isinstance(answer := await call.read(), pb.WriteUploadResponse):
        watch.durable(answer.persisted_offset)
        if answer.failure:  # gRPC may lose the status of a call that is still written to
            raise _in_our_words(rpc_errors.from_status(answer.failure))
        confirmed = confirmed or answer.HasField("upload")
    return confirmed
