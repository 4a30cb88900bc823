"""Everything that can go wrong, in our words.

Each class is one meaning; `transport/errors.py` gives each one gRPC status. `reason` is the stable,
machine-readable name clients may switch on. The message is one plain sentence for a person, and
says what to do next where there is something to do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_VIOLATIONS_TOLD = 20
"""In the sentence; a message may have a million fields that are wrong."""


class ModelkeepError(Exception):
    """Something the caller can be told about.

    Args:
        message: one sentence for a person.
        metadata: facts a program may want (names, offsets, limits), as strings.
    """

    reason = "UNKNOWN"

    def __init__(self, message: str, *, reason: str = "", **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.metadata: Mapping[str, str] = {key: str(value) for key, value in metadata.items()}


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is not acceptable: its path in the request, and why."""

    field: str
    description: str


class InvalidArgument(ModelkeepError):
    """The request is malformed whatever the state of the registry; lists every violation."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        told = [f"{v.field}: {v.description}" for v in self.violations[:_VIOLATIONS_TOLD]]
        if len(self.violations) > _VIOLATIONS_TOLD:
            told.append(f"and {len(self.violations) - _VIOLATIONS_TOLD:,} more")
        super().__init__("; ".join(told))


def invalid(description: str, field: str = "") -> InvalidArgument:
    """An `InvalidArgument` with one violation; '' is the value itself, for the caller to place."""
    return InvalidArgument([Violation(field, description)])


class Unauthenticated(ModelkeepError):
    """Nobody we know is calling."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(ModelkeepError):
    """The caller is known and may not do this."""

    reason = "PERMISSION_DENIED"


class NotFound(ModelkeepError):
    """No such resource, or none the caller may know of."""

    reason = "NOT_FOUND"


class Hidden(NotFound):
    """The caller may not know whether there is such a resource; on the wire a plain `NotFound`.

    Args:
        message: one sentence for a person, as if there were nothing.
        denied: what the attempt was, for the audit log.
        metadata: as that of a `NotFound`.
    """

    def __init__(self, message: str, denied: PermissionDenied, **metadata: object) -> None:
        super().__init__(message, reason=self.reason, **metadata)
        self.denied = denied


class AlreadyExists(ModelkeepError):
    """The name is taken."""

    reason = "ALREADY_EXISTS"


class RequestIdReused(AlreadyExists):
    """The same request_id came with another request."""

    reason = "REQUEST_ID_REUSED"


class FailedPrecondition(ModelkeepError):
    """A rule of the registry forbids this in its present state."""

    reason = "FAILED_PRECONDITION"


@dataclass(frozen=True, slots=True)
class Unmet:
    """One condition that is not met: which kind, of what, and why."""

    kind: str
    subject: str
    description: str


class GatesFailed(FailedPrecondition):
    """A version does not meet the gates before a stage; lists each that is not met."""

    reason = "GATES_FAILED"

    def __init__(self, message: str, unmet: Iterable[Unmet]) -> None:
        self.unmet = tuple(unmet)
        super().__init__(message, reason=self.reason, failed=len(self.unmet))


class Aborted(ModelkeepError):
    """Somebody else was faster; read again and decide again."""

    reason = "ABORTED"


class StaleEtag(Aborted):
    """The resource changed since its etag was read."""

    reason = "STALE_ETAG"


class OutOfRange(ModelkeepError):
    """An offset outside what exists or is expected next."""

    reason = "OUT_OF_RANGE"


class ResourceExhausted(ModelkeepError):
    """A limit is reached; the message names it."""

    reason = "RESOURCE_EXHAUSTED"


class QuotaExceeded(ResourceExhausted):
    """What a namespace may take would not be enough.

    Args:
        message: one sentence for a person.
        retry_after_s: after how many seconds it is worth trying again.
        metadata: namespace, quota, limit, used, asked.
    """

    reason = "QUOTA_EXCEEDED"

    def __init__(self, message: str, *, retry_after_s: int = 1, **metadata: object) -> None:
        super().__init__(message, reason=self.reason, **metadata)
        self.retry_after_s = retry_after_s


class Throttled(ResourceExhausted):
    """More at once, or faster, than one caller, connection or server may; nothing was done.

    Args:
        message: one sentence for a person.
        retry_after_s: after how many seconds it is worth trying again.
        metadata: limit (its name), allowed.
    """

    reason = "THROTTLED"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, **metadata: object) -> None:
        super().__init__(message, reason=self.reason, **metadata)
        self.retry_after_s = retry_after_s


class DataLoss(ModelkeepError):
    """Bytes are not what their checksum says."""

    reason = "DATA_LOSS"


class Unavailable(ModelkeepError):
    """Something we depend on does not answer now; a retry may succeed."""

    reason = "UNAVAILABLE"


class DeadlineExceeded(ModelkeepError):
    """The time the caller gave, or our own limit, has passed."""

    reason = "DEADLINE_EXCEEDED"
