"""Calls about the stored files of a version: reading one, and having all re-read."""

from collections.abc import AsyncGenerator

import grpc

from modelkeep.client import (
    blobs,
    convert,
    file_reader,
    patience,
    progress,
    records,
    refs,
    rpc_errors,
    versions,
    wire_chunks,
)
from modelkeep.v1 import artifact_service_pb2 as pb


class FileCalls(versions.VersionCalls, blobs.BlobCalls):
    """Read files without pulling them; have a stored version verified."""

    async def read_file(
        self,
        ref: str,
        path: str,
        *,
        offset: int = 0,
        length: int | None = None,
        stall_s: float = patience.DEFAULT_STALL_S,
    ) -> bytes:
        """The bytes of a file, or `length` of them from `offset`; fewer where the file ends.

        Raises and arguments: see `stream_file`, which needs no memory for the whole.
        """
        reading = self.stream_file(ref, path, offset=offset, length=length, stall_s=stall_s)
        return b"".join([block async for block in reading])

    async def stream_file(
        self,
        ref: str,
        path: str,
        *,
        offset: int = 0,
        length: int | None = None,
        stall_s: float = patience.DEFAULT_STALL_S,
    ) -> AsyncGenerator[bytes, None]:
        """Stream a file in verified blocks, going on where an interruption cut it.

        Args:
            ref: the version, for example `acme/voice@production`.
            path: the file's path in it.
            offset: the first byte.
            length: how many bytes; None is to the end.
            stall_s: how long to try again without progress, in seconds.

        Raises:
            NotFound: there is no such version or file.
            Refused: the version is not ready.
            InvalidRequest: the offset is beyond the file's end.
            DataLoss: the bytes are damaged. If it is raised at the end of a whole file, the blocks
                that came before are not that file.
        """
        order = file_reader.Order(path=path, offset=offset, length=length, stall_s=stall_s)
        name = f"{await self._version_name(ref)}/files/{path}"

        def open_stream(start: int, limit: int) -> AsyncGenerator[wire_chunks.ReadChunk, None]:
            return self._read_chunks(name, start, limit, stall_s)

        async for block in file_reader.FileReader(open_stream, order).blocks():
            yield block

    async def verify_version(
        self, ref: str, *, listener: progress.Progress | None = None
    ) -> AsyncGenerator[records.FileCheck, None]:
        """Have the server re-read every stored byte of a version; a result for each file.

        Args:
            ref: the version; an exact one may be quarantined.
            listener: hears how far it is.

        Raises:
            NotFound: there is no such version.
            Refused: it is a draft, or deleted.
        """
        heard = listener or progress.Progress()
        request = pb.VerifyVersionRequest(name=await self._version_name(ref))
        call = self._artifacts.VerifyVersion(request)
        began = False
        try:
            async for told in call:
                if not began:
                    began = True
                    heard.step_began(progress.Step.VERIFY, told.total_files, told.total_bytes)
                    heard.file_began(ref, told.total_bytes, 0)
                heard.file_moved(ref, told.checked_bytes)
                if told.HasField("result"):
                    yield convert.file_check_from_wire(told.result)
        except grpc.aio.AioRpcError as failure:
            raise rpc_errors.from_rpc(failure) from failure
        finally:
            call.cancel()
        heard.file_ended(ref)
        heard.step_ended(progress.Step.VERIFY)

    async def _version_name(self, ref: str) -> str:
        """The resource name of a version; an exact reference is taken in whatever state it is."""
        parsed = refs.parse_selection(ref)
        if parsed.is_exact:
            return parsed.version_name
        return (await self.resolve(ref)).name
