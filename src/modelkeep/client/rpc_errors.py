"""From a failed RPC to an error in the SDK's words."""

from typing import TypeVar

import grpc
from google.protobuf import message
from google.rpc import error_details_pb2, status_pb2

from modelkeep.client import errors, tls_failures

_DETAILS_KEY = "grpc-status-details-bin"
_REQUEST_ID_KEY = "x-request-id"
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
_Detail = TypeVar("_Detail", bound=message.Message)


def from_rpc(failure: grpc.aio.AioRpcError) -> errors.RegistryError:
    """The error of the hierarchy that says what `failure` says, with all its details."""
    code = failure.code().name
    about_tls = tls_failures.read(failure.details() or "") if code == "UNAVAILABLE" else None
    if about_tls is not None:
        return about_tls
    request_id = _metadata_value(failure, _REQUEST_ID_KEY)
    return _error_of(code, failure.details(), _status(failure), request_id)


def from_status(serialized: bytes) -> errors.RegistryError:
    """The same for a `google.rpc.Status` that came in a message."""
    status = _parsed(serialized)
    return _error_of(_CODES.get(status.code, "UNKNOWN"), status.message, status, "")


def _error_of(
    code: str, told: str | None, status: status_pb2.Status, request_id: str
) -> errors.RegistryError:
    error_info = _detail(status, error_details_pb2.ErrorInfo())
    retry = _detail(status, error_details_pb2.RetryInfo())
    return errors.BY_CODE.get(code, errors.RegistryError)(
        told or f"the server answered {code} without a message",
        code=code,
        reason=error_info.reason,
        metadata=error_info.metadata,
        violations=_violations(status),
        request_id=request_id,
        retry_after_s=max(0.0, retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9),
    )


def _violations(status: status_pb2.Status) -> tuple[errors.Violation, ...]:
    """Fields that are not acceptable, or gates that are not met."""
    fields = _detail(status, error_details_pb2.BadRequest()).field_violations
    if fields:
        return tuple(errors.Violation(one.field, one.description) for one in fields)
    unmet = _detail(status, error_details_pb2.PreconditionFailure()).violations
    # A rule without gates is told once, by the message.
    return tuple(errors.Violation(one.type, one.description) for one in unmet if one.subject)


def _status(failure: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in failure.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return _parsed(value)
    return status_pb2.Status()


def _parsed(value: bytes) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(value)
    except message.DecodeError:
        # Something between us and the server mangled the details; code and message still stand.
        return status_pb2.Status()


def _detail(status: status_pb2.Status, wanted: _Detail) -> _Detail:
    for detail in status.details:
        if detail.Unpack(wanted):
            break
    return wanted


def _metadata_value(failure: grpc.aio.AioRpcError, wanted: str) -> str:
    for pairs in (failure.trailing_metadata(), failure.initial_metadata()):
        for key, value in pairs or ():
            if key == wanted:
                return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return ""
