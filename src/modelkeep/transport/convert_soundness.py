"""Crossings of what a re-reading of a version finds."""

from functools import partial

from modelkeep.domain import checks, names, soundness
from modelkeep.v1 import artifact_service_pb2 as pb

VERDICTS = {
    soundness.Verdict.OK: pb.FILE_VERDICT_OK,
    soundness.Verdict.CORRUPT: pb.FILE_VERDICT_CORRUPT,
    soundness.Verdict.MISSING: pb.FILE_VERDICT_MISSING,
}


def verify_from_wire(request: pb.VerifyVersionRequest) -> names.VersionName:
    """Argument of `VersionChecks.verify`."""
    with checks.Checks() as found:
        return found.make("name", partial(names.VersionName.parse, request.name))


def rereading_to_wire(told: soundness.Rereading) -> pb.VerifyVersionResponse:
    """One message of a version being re-read."""
    return pb.VerifyVersionResponse(
        result=_result_to_wire(told.result) if told.result else None,
        checked_bytes=told.checked_bytes,
        total_bytes=told.total_bytes,
        total_files=told.total_files,
    )


def _result_to_wire(result: soundness.FileResult) -> pb.FileResult:
    return pb.FileResult(
        path=result.file.path,
        digest=result.file.digest,
        size_bytes=result.file.size_bytes,
        verdict=VERDICTS[result.verdict],
        detail=result.detail,
    )
