"""Quotas: how much a namespace may take, and what it takes."""

import enum
from dataclasses import dataclass

from modelkeep.domain import errors, names

_RETRY_UPLOAD_S = 2
_RETRY_BYTES_S = 60


class Quota(enum.StrEnum):
    """What is limited, as errors name it."""

    STORED_BYTES = "stored_bytes"
    LOGICAL_BYTES = "logical_bytes"
    OPEN_UPLOADS = "open_uploads"


FIELDS = frozenset(f"{quota}_quota" for quota in Quota)
"""The fields of a namespace that are quotas."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a namespace may take; 0 is no limit."""

    stored_bytes: int = 0
    logical_bytes: int = 0
    open_uploads: int = 0


NONE = Limits()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a namespace takes.

    Attributes:
        stored_bytes: of its blobs, each once.
        reserved_bytes: of its open uploads, whole, however much of them has come.
        logical_bytes: of all versions' files, as if no two shared a blob; deleted versions count
            until they are purged.
        open_uploads: number of its open uploads.
    """

    stored_bytes: int = 0
    reserved_bytes: int = 0
    logical_bytes: int = 0
    open_uploads: int = 0


@dataclass(frozen=True, slots=True)
class NamespaceUsage:
    """What a namespace takes of what it may take."""

    name: names.NamespaceName
    usage: Usage
    limits: Limits


@dataclass(frozen=True, slots=True)
class Recount:
    """What was counted anew, and what the counters had said before."""

    counted: NamespaceUsage
    previous: Usage


@dataclass(frozen=True, slots=True)
class Excess:
    """What was asked for beyond a quota; the namespace has `used` of it so far."""

    namespace: str
    quota: Quota
    limit: int
    used: int
    asked: int


def require_room(usage: NamespaceUsage, asked_bytes: int) -> None:
    """Raise `errors.QuotaExceeded` if so many bytes more cannot be stored."""
    limit = usage.limits.stored_bytes
    used = usage.usage.stored_bytes + usage.usage.reserved_bytes
    if limit and asked_bytes and used + asked_bytes > limit:
        namespace = usage.name.namespace
        raise exceeded(Excess(namespace, Quota.STORED_BYTES, limit, used, asked_bytes))


def exceeded(excess: Excess) -> errors.QuotaExceeded:
    """The error that says what is full, and what to do."""
    passing = excess.quota is Quota.OPEN_UPLOADS
    return errors.QuotaExceeded(
        _SENTENCES[excess.quota].format(
            namespace=excess.namespace,
            limit=f"{excess.limit:,}",
            used=f"{excess.used:,}",
            asked=f"{excess.asked:,}",
        ),
        retry_after_s=_RETRY_UPLOAD_S if passing else _RETRY_BYTES_S,
        namespace=names.NamespaceName(excess.namespace),
        quota=excess.quota.value,
        limit=excess.limit,
        used=excess.used,
        asked=excess.asked,
    )


_SENTENCES = {
    Quota.STORED_BYTES: (
        "{namespace} may store {limit} bytes, has {used} with its open uploads, and {asked} more "
        "were asked for; remove what nobody needs (`modelkeep gc {namespace}`), give up open "
        "uploads (`modelkeep uploads ls {namespace}`), or raise the quota "
        "(`modelkeep quota set {namespace} --stored SIZE`)"
    ),
    Quota.LOGICAL_BYTES: (
        "the versions of {namespace} may have {limit} bytes in all, have {used}, and {asked} more "
        "were asked for; versions count until they are purged, so purge some, or raise the quota "
        "(`modelkeep quota set {namespace} --logical SIZE`)"
    ),
    Quota.OPEN_UPLOADS: (
        "{namespace} may have {limit} uploads open at a time and has {used}; wait until some are "
        "complete, give up what nobody continues (`modelkeep uploads ls {namespace}`), or raise "
        "the quota (`modelkeep quota set {namespace} --open-uploads N`)"
    ),
}
