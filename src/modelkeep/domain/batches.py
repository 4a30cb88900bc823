"""Batches: small blobs that come or go together, each with a fate of its own."""

import enum
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits


@dataclass(frozen=True, slots=True)
class SmallBlob:
    """Bytes, and the digest they are declared to have."""

    digest: str
    content: bytes

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.digest("digest", self.digest)
            found.require(
                len(self.content) <= limits.BATCH_BLOB_BYTES,
                "data",
                f"has {len(self.content):,} bytes; at most {limits.BATCH_BLOB_BYTES:,} are allowed "
                "in a batch; send it by an upload",
            )


@dataclass(frozen=True, slots=True)
class Batch:
    """What comes together: 1 to `limits.BATCH_BLOBS` blobs, `limits.BATCH_BYTES` in all."""

    blobs: tuple[SmallBlob, ...]

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("blobs", self.blobs, limits.BATCH_BLOBS, least=1)
            found.require(
                self.size_bytes <= limits.BATCH_BYTES,
                "blobs",
                f"have {self.size_bytes:,} bytes together; at most {limits.BATCH_BYTES:,} are "
                "allowed",
            )

    @property
    def size_bytes(self) -> int:
        """Bytes of all blobs together."""
        return sum(len(blob.content) for blob in self.blobs)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Digests to read together, 1 to `limits.BATCH_BLOBS`; each counts once, in order."""

    digests: tuple[str, ...]

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("digests", self.digests, limits.BATCH_BLOBS, least=1)
            for n, digest in enumerate(self.digests[: limits.BATCH_BLOBS]):
                found.digest(f"digests[{n}]", digest)


class Verdict(enum.StrEnum):
    """How one blob of a batch fared; each member is named as the status it is on the wire."""

    OK = "ok"
    NOT_FOUND = "not_found"
    FAILED_PRECONDITION = "failed_precondition"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    UNAVAILABLE = "unavailable"
    DATA_LOSS = "data_loss"


_VERDICTS: dict[type[errors.ModelkeepError], Verdict] = {
    errors.NotFound: Verdict.NOT_FOUND,
    errors.FailedPrecondition: Verdict.FAILED_PRECONDITION,
    errors.ResourceExhausted: Verdict.RESOURCE_EXHAUSTED,
    errors.Unavailable: Verdict.UNAVAILABLE,
    errors.DataLoss: Verdict.DATA_LOSS,
}


@dataclass(frozen=True, slots=True)
class Fate:
    """A verdict; unless it is OK, also why, for programs and for people."""

    verdict: Verdict = Verdict.OK
    reason: str = ""
    message: str = ""

    @classmethod
    def of(cls, error: errors.ModelkeepError) -> "Fate":
        """The fate of one blob that met this error; raises it if it concerns the whole batch."""
        if type(error) not in _VERDICTS:
            raise error
        return cls(_VERDICTS[type(error)], error.reason, error.message)

    def require(self) -> None:
        """Raise the error that was met, if there was one."""
        for kind, verdict in _VERDICTS.items():
            if verdict is self.verdict:
                raise kind(self.message, reason=self.reason)


@dataclass(frozen=True, slots=True)
class Written:
    """How the writing of one blob fared."""

    digest: str
    size_bytes: int
    fate: Fate


@dataclass(frozen=True, slots=True)
class Read:
    """One blob that was asked for: its bytes and their CRC32C, unless its fate forbids."""

    digest: str
    fate: Fate
    content: bytes = b""
    crc32c: int | None = None


def wrong_bytes(declared: str, found: str) -> Fate:
    """The fate of bytes that are not what they were declared to be."""
    return Fate.of(
        errors.DataLoss(
            f"the bytes have digest {found} instead of {declared}; send them anew",
            reason="DIGEST_MISMATCH",
        )
    )


def unreadable(digest: str, size_bytes: int | None, room_bytes: int) -> Fate | None:
    """Why a blob of this size (None: not held) cannot go into so much room, or None if it can."""
    if size_bytes is None:
        return Fate.of(errors.NotFound(f"the namespace holds no blob {digest}"))
    if size_bytes > limits.BATCH_BLOB_BYTES:
        return Fate.of(
            errors.FailedPrecondition(
                f"the blob has {size_bytes:,} bytes, too many for a batch; read it by ReadBlob",
                reason="BLOB_TOO_LARGE",
            )
        )
    if size_bytes > room_bytes:
        return Fate.of(
            errors.ResourceExhausted(
                f"the answer is full at {limits.BATCH_BYTES:,} bytes; ask for this blob again",
                reason="BATCH_FULL",
            )
        )
    return None
