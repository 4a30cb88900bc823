"""Calls that give models other names, in other namespaces too."""

import grpc

from modelkeep.client import calls, connection, convert, errors, patience, progress, records, refs
from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import registry_service_pb2 as pb

_BYTES_MISSING = "BLOBS_MISSING"
_MOVE_S = 300.0
"""How long the rows of a large model may take, in seconds."""


class MovingCalls(connection.Connection):
    """Move models."""

    async def move_model(
        self,
        model: str,
        destination: str,
        *,
        etag: str = "",
        stall_s: float = patience.DEFAULT_STALL_S,
        listener: progress.Progress | None = None,
    ) -> records.Model:
        """Give a model another name; the old one goes on to mean it.

        To another namespace the server copies its bytes first, within the store. Interrupted, it
        goes on where it was when called again.

        Args:
            model: what it is called now.
            destination: what it shall be called, in this namespace or another.
            etag: if given, the one that it must have.
            stall_s: how long to go on trying without progress in the copying, in seconds.
            listener: hears how far the copying is.

        Raises:
            Refused: something holds it in its namespace; the message says what to do.
        """
        source, target = refs.parse_model(model), refs.parse_model(destination)
        request = pb.MoveModelRequest(
            name=source.model_name,
            destination=target.model_name,
            etag=etag,
            request_id=calls.new_request_id(),
        )
        heard = listener or progress.Progress()
        trying = patience.Patience(stall_s, heard)
        while True:
            try:
                response = await self._call(self._registry.MoveModel, request, timeout_s=_MOVE_S)
            except errors.Refused as refused:
                if refused.reason != _BYTES_MISSING:
                    raise
            else:
                return convert.model_from_wire(response.model)
            try:
                await self._copy(source, target, trying, heard)
            except errors.RegistryError as failure:
                await trying.after(failure)

    async def _copy(
        self,
        source: refs.Ref,
        target: refs.Ref,
        trying: patience.Patience,
        heard: progress.Progress,
    ) -> None:
        """Have the blobs copied that are missing."""
        request = artifact_pb.CopyModelBlobsRequest(
            name=source.model_name, destination=target.model_name
        )
        call = self._artifacts.CopyModelBlobs(request)
        drawn = _Drawn(str(source), heard)
        try:
            async for told in call:
                trying.reached(told.present_bytes)
                drawn.told(told)
        except grpc.aio.AioRpcError as lost:
            raise await self._explained(lost) from lost
        finally:
            call.cancel()
            drawn.end()


class _Drawn:
    """What a listener hears of a copying."""

    def __init__(self, model: str, heard: progress.Progress) -> None:
        self._model = model
        self._heard = heard
        self._present_bytes = -1

    def told(self, told: artifact_pb.CopyModelBlobsResponse) -> None:
        """It is so far."""
        if self._present_bytes < 0:
            self._present_bytes = told.present_bytes
            self._heard.step_began(progress.Step.COPY, told.blobs, told.total_bytes)
            self._heard.file_began(self._model, told.total_bytes, told.present_bytes)
        so_far = max(told.present_bytes, self._present_bytes + told.copied_bytes)
        self._heard.file_moved(self._model, min(so_far, told.total_bytes))

    def end(self) -> None:
        """It is over, or interrupted."""
        if self._present_bytes >= 0:
            self._heard.step_ended(progress.Step.COPY)
