"""Crossings of models that move to other namespaces."""

from functools import partial

from modelkeep.domain import checks, moves, names
from modelkeep.v1 import artifact_service_pb2 as pb


def copy_from_wire(request: pb.CopyModelBlobsRequest) -> tuple[names.ModelName, names.ModelName]:
    """Arguments of `ModelCopying.copy`."""
    with checks.Checks() as found:
        name = found.make("name", partial(names.ModelName.parse, request.name))
        new = found.make("destination", partial(names.ModelName.parse, request.destination))
    return name, new


def progress_to_wire(progress: moves.CopyProgress) -> pb.CopyModelBlobsResponse:
    """How far the copying is."""
    return pb.CopyModelBlobsResponse(
        blobs=progress.blobs,
        total_bytes=progress.total_bytes,
        present_blobs=progress.present_blobs,
        present_bytes=progress.present_bytes,
        copied_bytes=progress.copied_bytes,
    )
