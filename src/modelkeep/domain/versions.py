"""Versions: sealed content with a history."""

import datetime
import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelkeep.domain import checks, errors, limits, names, specs, stages

RETENTION = datetime.timedelta(days=30)
"""How long a deleted version can be restored, unless the configuration says otherwise."""


class VersionState(enum.StrEnum):
    """Whether a version's content may be read."""

    DRAFT = "draft"
    READY = "ready"
    QUARANTINED = "quarantined"
    DELETED = "deleted"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Notes:
    """What may change about a version after sealing."""

    labels: dict[str, str] = field(default_factory=dict)
    description: str = ""
    card: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.labels("labels", self.labels)
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)
            found.text("card", self.card, limits.CARD_CHARS, layout=True)


SEALED_FIELDS = frozenset({"spec", "datasets", "metrics", "source"})
OPEN_FIELDS = frozenset({"labels", "description", "card"})


@dataclass(frozen=True, slots=True)
class VersionWarning:
    """Something about a version's files that its users should know.

    Attributes:
        reason: which warning it is, for programs.
        description: the same for people.
        paths: the first files it is about.
        file_count: how many it is about.
    """

    reason: str
    description: str
    paths: tuple[str, ...]
    file_count: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Version:
    """A version as it stands."""

    name: names.VersionName
    ordinal: int
    state: VersionState
    stage: str
    manifest_digest: str
    file_count: int
    total_bytes: int
    content: specs.Content
    notes: Notes
    aliases: tuple[str, ...]
    creator: str
    create_client: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    finalized_at: datetime.datetime | None
    deleted_at: datetime.datetime | None
    etag: str
    warnings: tuple[VersionWarning, ...] = ()
    quarantine_reason: str = ""
    purge_at: datetime.datetime | None = None


GONE = frozenset({VersionState.DELETED, VersionState.PURGED})


def require_state(version: Version, wanted: VersionState, purpose: str) -> None:
    """Raise `errors.FailedPrecondition` unless the version is in that state."""
    if version.state is not wanted:
        raise errors.FailedPrecondition(
            f"{version.name} is {version.state}; only a {wanted} version can be {purpose}",
            reason=f"VERSION_NOT_{wanted.upper()}",
            state=version.state,
        )


def require_deletable(version: Version, dependent: str, deployments: Sequence[str] = ()) -> None:
    """Raise `errors.FailedPrecondition` naming whatever still needs the version.

    Args:
        version: what is to be deleted.
        dependent: name of a live version made from it, or ''.
        deployments: what says that it runs: name of the deployment and of the environment.
    """
    holders = [
        *([f"it is in {version.stage}"] if version.stage in stages.SERVING else []),
        *(f"alias {alias!r} points at it" for alias in version.aliases),
        *([f"{dependent} is made from it"] if dependent else []),
        *(f"it is deployed: {deployment}" for deployment in deployments),
    ]
    if holders:
        raise errors.FailedPrecondition(
            f"{version.name} cannot be deleted: {'; '.join(holders)}. Release it there first.",
            reason="VERSION_IN_USE",
            holders=len(holders),
        )
