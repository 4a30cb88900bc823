"""Domain errors as gRPC statuses: one table, and the standard details of AIP-193."""

from collections.abc import Iterable, Iterator

import grpc
from google.protobuf import duration_pb2, message
from google.rpc import error_details_pb2, status_pb2

from modelkeep.domain import errors

DOMAIN = "modelkeep"
RETRY_AFTER_S = 1

# A status travels in the trailers, of which clients take 8 KiB (16 at most) or drop the whole
# answer. The details are base64 there, the message percent-encoded (and once more in the details).
_MESSAGE_BYTES = 1500
_DETAILS_BYTES = 4500
_TEXT_CHARS = 400

STATUS_BY_ERROR: dict[type[errors.ModelkeepError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Hidden: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.GatesFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Aborted: grpc.StatusCode.ABORTED,
    errors.StaleEtag: grpc.StatusCode.ABORTED,
    errors.OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Throttled: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DataLoss: grpc.StatusCode.DATA_LOSS,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
}

_RETRYABLE = (errors.Unavailable, errors.ResourceExhausted)


class InternalError(errors.ModelkeepError):
    """What a caller is told when we met something unexpected; the log has the rest."""

    reason = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"internal error; tell the operator the request id {request_id}", request_id=request_id
        )


def code_of(error: errors.ModelkeepError) -> grpc.StatusCode:
    """The status of an error."""
    return STATUS_BY_ERROR.get(type(error), grpc.StatusCode.INTERNAL)


def message_of(error: errors.ModelkeepError) -> str:
    """Its sentence, cut so that it fits into the trailers of an answer."""
    return _cut(error.message, _MESSAGE_BYTES)


def details_of(error: errors.ModelkeepError) -> bytes:
    """The serialised `google.rpc.Status` that goes into `grpc-status-details-bin`.

    What does not fit into the trailers of an answer is left out, the last fields first.
    """
    facts = {key: value[:_TEXT_CHARS] for key, value in error.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts)
    status = status_pb2.Status(code=code_of(error).value[0], message=message_of(error))
    for detail in (info, *_particulars(error)):
        status.details.add().Pack(detail)
    serialized: bytes = status.SerializeToString()
    return serialized


def _cut(text: str, most_bytes: int) -> str:
    """The text, or as much of its beginning as takes so many bytes when percent-encoded."""
    room = most_bytes
    for at, character in enumerate(text):
        room -= 1 if " " <= character <= "~" and character != "%" else 3 * _utf8_bytes(character)
        if room < 0:
            return f"{text[:at]}..."
    return text


def _utf8_bytes(character: str) -> int:
    return len(character.encode("utf-8", "surrogatepass"))


def _fitting(
    violations: Iterable[errors.Violation],
) -> Iterator[error_details_pb2.BadRequest.FieldViolation]:
    """The first of them, as many as there is room for."""
    room = _DETAILS_BYTES - _MESSAGE_BYTES
    for violation in violations:
        told = error_details_pb2.BadRequest.FieldViolation(
            field=violation.field[:_TEXT_CHARS], description=violation.description[:_TEXT_CHARS]
        )
        room -= told.ByteSize()
        if room < 0:
            return
        yield told


def _unmet(
    conditions: Iterable[errors.Unmet],
) -> Iterator[error_details_pb2.PreconditionFailure.Violation]:
    """The first of them, as many as there is room for."""
    room = _DETAILS_BYTES - _MESSAGE_BYTES
    for one in conditions:
        told = error_details_pb2.PreconditionFailure.Violation(
            type=one.kind,
            subject=one.subject[:_TEXT_CHARS],
            description=one.description[:_TEXT_CHARS],
        )
        room -= told.ByteSize()
        if room < 0:
            return
        yield told


def _particulars(error: errors.ModelkeepError) -> list[message.Message]:
    if isinstance(error, errors.InvalidArgument):
        return [error_details_pb2.BadRequest(field_violations=_fitting(error.violations))]
    if isinstance(error, errors.GatesFailed):
        return [error_details_pb2.PreconditionFailure(violations=_unmet(error.unmet))]
    if isinstance(error, errors.FailedPrecondition):
        violation = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason, description=message_of(error)
        )
        return [error_details_pb2.PreconditionFailure(violations=[violation])]
    if isinstance(error, errors.QuotaExceeded):
        return [_quota_failure(error), _retry_info(error.retry_after_s)]
    if isinstance(error, _RETRYABLE):
        after_s = error.retry_after_s if isinstance(error, errors.Throttled) else RETRY_AFTER_S
        return [_retry_info(after_s)]
    return []


def _retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(round(seconds * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _quota_failure(error: errors.QuotaExceeded) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation(
        subject=error.metadata.get("namespace", ""),
        description=message_of(error),
        quota_metric=error.metadata.get("quota", ""),
        quota_value=int(error.metadata.get("limit", "0")),
    )
    return error_details_pb2.QuotaFailure(violations=[violation])
