"""Everything that can go wrong when talking to a registry, in one hierarchy.

Catch `RegistryError` for all of it. The message is one plain sentence for a person; `reason` is the
stable, machine-readable name to switch on.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is not acceptable: its path in the request, and why."""

    field: str
    description: str


class RegistryError(Exception):
    """A call, a push or a pull did not succeed.

    Args:
        message: one sentence for a person.
        code: name of the gRPC status, for example `NOT_FOUND`; the class's own if not given.
        reason: stable name of what went wrong; the code if not given.
        metadata: facts a program may want (names, offsets, limits), as strings.
        violations: the fields that are not acceptable, for INVALID_ARGUMENT; for GATES_FAILED the
            gates that are not met, by their kinds.
        request_id: the server's id of the request, to find it in its log; empty if none answered.
        retry_after_s: after how many seconds the server thinks it worth trying again; 0 if it says
            nothing about that.
    """

    code = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        request_id: str = "",
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason or self.code
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.violations = violations
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class NotFound(RegistryError):
    """No such namespace, model, version, alias, file or upload."""

    code = "NOT_FOUND"


class InvalidRequest(RegistryError):
    """Something that was asked for is malformed; `violations` says what."""

    code = "INVALID_ARGUMENT"


class BadReference(InvalidRequest):
    """A reference such as `acme/voice@1.2.0` is not written as one."""


class BadTree(RegistryError):
    """The files to push or to pull cannot be a version's files; the message names the path."""

    code = "INVALID_ARGUMENT"


class BadSource(RegistryError):
    """What is to be imported, a bundle, a cache or another registry, is not as it must be."""

    code = "INVALID_ARGUMENT"


class Refused(RegistryError):
    """A rule of the registry forbids it: a name is taken, a state is wrong, a right is missing."""

    code = "FAILED_PRECONDITION"


class Conflict(Refused):
    """Somebody else was faster: read again and decide again."""

    code = "ABORTED"


class Unauthenticated(RegistryError):
    """The server does not know who is calling."""

    code = "UNAUTHENTICATED"


class LimitReached(RegistryError):
    """A limit is reached; the message names it."""

    code = "RESOURCE_EXHAUSTED"

    @property
    def quota(self) -> str:
        """Which quota of the namespace it is: stored_bytes, logical_bytes, open_uploads; or ''."""
        return self.metadata.get("quota", "") if self.reason == "QUOTA_EXCEEDED" else ""


class DataLoss(RegistryError):
    """Bytes are not what their checksum says."""

    code = "DATA_LOSS"


class BadAnswer(RegistryError):
    """The server answered, with something that cannot be read as what was asked for."""

    code = "INTERNAL"

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="BAD_ANSWER")


class FileChanged(DataLoss):
    """A file changed while it was being pushed; the message names it."""

    code = "DATA_LOSS"


class Unavailable(RegistryError):
    """The server or something it depends on does not answer; a retry may succeed."""

    code = "UNAVAILABLE"


class StoreOutOfReach(RegistryError):
    """Bytes were to go straight to or from the store, and this machine does not reach it."""

    code = "UNAVAILABLE"


class TLSFailure(RegistryError):
    """Client and server cannot agree on TLS, or one does not trust the other; `reason` says which.

    Trying again changes nothing.
    """

    code = "UNAVAILABLE"


class TimedOut(Unavailable):
    """The time a call was given has passed; it may or may not have taken effect."""

    code = "DEADLINE_EXCEEDED"


BY_CODE: Mapping[str, type[RegistryError]] = {
    "NOT_FOUND": NotFound,
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "FAILED_PRECONDITION": Refused,
    "ALREADY_EXISTS": Refused,
    "PERMISSION_DENIED": Refused,
    "ABORTED": Conflict,
    "UNAUTHENTICATED": Unauthenticated,
    "RESOURCE_EXHAUSTED": LimitReached,
    "DATA_LOSS": DataLoss,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": TimedOut,
}
"""The class of each status code; any other code is a plain `RegistryError`."""
