"""Domain errors as gRPC statuses: one table, and the standard details of AIP-193."""

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2

from modelkeep.domain import errors

DOMAIN = "modelkeep"
RETRY_AFTER_S = 1

STATUS_BY_ERROR: dict[type[errors.ModelkeepError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Hidden: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Aborted: grpc.StatusCode.ABORTED,
    errors.StaleEtag: grpc.StatusCode.ABORTED,
    errors.OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
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


def details_of(error: errors.ModelkeepError) -> bytes:
    """The serialised `google.rpc.Status` that goes into `grpc-status-details-bin`."""
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=DOMAIN, metadata=dict(error.metadata)
    )
    details = [info, *_particulars(error)]
    status = status_pb2.Status(
        code=code_of(error).value[0], message=error.message, details=map(_packed, details)
    )
    serialized: bytes = status.SerializeToString()
    return serialized


def _particulars(error: errors.ModelkeepError) -> list[message.Message]:
    if isinstance(error, errors.InvalidArgument):
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ]
        return [error_details_pb2.BadRequest(field_violations=fields)]
    if isinstance(error, errors.FailedPrecondition):
        violation = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason, description=error.message
        )
        return [error_details_pb2.PreconditionFailure(violations=[violation])]
    if isinstance(error, errors.QuotaExceeded):
        return [_quota_failure(error), _retry_info(error.retry_after_s)]
    if isinstance(error, _RETRYABLE):
        return [_retry_info(RETRY_AFTER_S)]
    return []


def _retry_info(seconds: int) -> error_details_pb2.RetryInfo:
    return error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds))


def _quota_failure(error: errors.QuotaExceeded) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation(
        subject=error.metadata.get("namespace", ""),
        description=error.message,
        quota_metric=error.metadata.get("quota", ""),
        quota_value=int(error.metadata.get("limit", "0")),
    )
    return error_details_pb2.QuotaFailure(violations=[violation])


def _packed(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
