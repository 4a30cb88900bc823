"""What the registry answers: frozen values, instants in UTC, sizes in bytes."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelkeep.client import compliance_records, file_facts, refs, specs


class ModelKind(enum.StrEnum):
    """What a model is."""

    UNSPECIFIED = "unspecified"
    MODEL = "model"
    ADAPTER = "adapter"
    PIPELINE = "pipeline"
    PROMPT = "prompt"


class VersionState(enum.StrEnum):
    """Whether a version's content may be read."""

    UNSPECIFIED = "unspecified"
    DRAFT = "draft"
    READY = "ready"
    QUARANTINED = "quarantined"
    DELETED = "deleted"
    PURGED = "purged"


class Bump(enum.StrEnum):
    """Which number of a model's highest release the next version raises."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


class Reuse(enum.StrEnum):
    """What a bump may answer instead of a new version.

    `draft`: the caller's own open draft with the same intended manifest; `draft_or_latest`:
    moreover the latest release, if it has this manifest and says the same.
    """

    UNSPECIFIED = "unspecified"
    DRAFT = "draft"
    DRAFT_OR_LATEST = "draft_or_latest"


class UploadState(enum.StrEnum):
    """Where an upload stands."""

    UNSPECIFIED = "unspecified"
    ACTIVE = "active"
    VERIFYING = "verifying"
    COMMITTED = "committed"
    FAILED = "failed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """The unit of ownership, access and deduplication."""

    name: str
    description: str
    labels: Mapping[str, str]
    creator: str
    created_at: datetime | None
    updated_at: datetime | None
    etag: str
    pickle_policy: file_facts.PicklePolicy = file_facts.PicklePolicy.UNSPECIFIED
    stored_bytes_quota: int = 0
    logical_bytes_quota: int = 0
    open_uploads_quota: int = 0

    @property
    def ref(self) -> str:
        """`acme`."""
        return refs.from_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceUsage:
    """What a namespace takes of what it may take; a quota of 0 is no limit.

    Attributes:
        name: of the namespace.
        stored_bytes: of its blobs, each once.
        reserved_bytes: of its open uploads, whole.
        stored_bytes_quota: most that both may be together.
        logical_bytes: of all versions' files, as if no two shared a blob.
        logical_bytes_quota: most that these may be.
        open_uploads: number of its open uploads.
        open_uploads_quota: most that these may be.
    """

    name: str
    stored_bytes: int
    reserved_bytes: int
    stored_bytes_quota: int
    logical_bytes: int
    logical_bytes_quota: int
    open_uploads: int
    open_uploads_quota: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named line of versions; `deleted_at` is None while it lives."""

    name: str
    kind: ModelKind
    owner: str
    description: str
    labels: Mapping[str, str]
    creator: str
    created_at: datetime | None
    updated_at: datetime | None
    deleted_at: datetime | None
    last_ordinal: int
    etag: str
    risk_tier: compliance_records.RiskTier = compliance_records.RiskTier.UNSPECIFIED
    revalidation_days: int = 0

    @property
    def ref(self) -> str:
        """`acme/voice`."""
        return refs.from_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a model. Lists leave out `spec`, `datasets`, `metrics` and `card`."""

    name: str
    version: str
    ordinal: int
    state: VersionState
    stage: str
    manifest_digest: str
    file_count: int
    total_bytes: int
    spec: specs.ModelSpec | specs.PromptSpec | None
    datasets: tuple[specs.Dataset, ...]
    metrics: Mapping[str, float]
    source: specs.Source
    labels: Mapping[str, str]
    description: str
    card: str
    aliases: tuple[str, ...]
    creator: str
    create_client: str
    created_at: datetime | None
    finalized_at: datetime | None
    updated_at: datetime | None
    deleted_at: datetime | None
    etag: str
    warnings: tuple[file_facts.VersionWarning, ...] = ()
    quarantine_reason: str = ""
    purge_at: datetime | None = None

    @property
    def ref(self) -> str:
        """`acme/voice@1.2.0`."""
        return refs.from_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a version; `path` is relative and `/`-separated.

    `facts` are what is inside, if they were asked for and somebody has looked.
    """

    path: str
    digest: str
    size_bytes: int
    media_type: str = "application/octet-stream"
    facts: file_facts.FileFacts | None = None


class FileVerdict(enum.StrEnum):
    """Whether the store has a file as it was pushed."""

    UNSPECIFIED = "unspecified"
    OK = "ok"
    CORRUPT = "corrupt"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """What a re-reading found of one file; `detail` says what is wrong, empty if nothing is."""

    path: str
    digest: str
    size_bytes: int
    verdict: FileVerdict
    detail: str

    @property
    def is_ok(self) -> bool:
        """Whether every byte is as it was pushed."""
        return self.verdict is FileVerdict.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A movable name for one version of a model; `version` is that version's resource name."""

    name: str
    version: str
    reason: str
    actor: str
    set_at: datetime | None
    etag: str
    protected: bool = False

    @property
    def alias(self) -> str:
        """`champion`."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasProtection:
    """Aliases of `parent` (a model, or a namespace with all its models) not everybody may set."""

    parent: str
    pattern: str
    reason: str
    actor: str
    protected_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMove:
    """A version where it stands now, and the name of the one that made room (empty if none)."""

    version: Version
    displaced_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload of one blob; `persisted_ranges` are [start, end) pairs that are durable."""

    name: str
    state: UploadState
    digest: str
    size_bytes: int
    part_size_bytes: int
    persisted_ranges: tuple[tuple[int, int], ...]
    creator: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def persisted_bytes(self) -> int:
        """How much is durable."""
        return sum(end - start for start, end in self.persisted_ranges)


class GarbageReason(enum.StrEnum):
    """Why a blob may go.

    `unreached`: no version has a file of it, no open upload brings it, and nobody was told within
    the grace period that it is there.
    """

    UNSPECIFIED = "unspecified"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True, kw_only=True)
class GarbageBlob:
    """A blob that nobody needs; `used_at` is when somebody was last told that it is there.

    `freed_bytes` is what the store gets back: small blobs lie together in one object, which goes
    with the last of them.
    """

    name: str
    digest: str
    size_bytes: int
    reason: GarbageReason
    created_at: datetime | None
    used_at: datetime | None
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a server accepts; sizes in bytes."""

    server_version: str
    chunk_bytes: int
    max_chunk_bytes: int
    max_message_bytes: int
    min_part_bytes: int
    max_parts: int
    max_blob_bytes: int
    max_streams_per_upload: int
    max_files_per_version: int
    max_find_missing: int
    max_batch_blob_bytes: int = 0
    max_batch_bytes: int = 0
    max_batch_blobs: int = 0
    direct_transfer: bool = False
    max_transfer_urls: int = 0
    max_streams: int = 0
    max_watches: int = 0
    max_streams_per_connection: int = 0
    max_deadline_seconds: int = 0
    min_upload_bytes_per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What a push did.

    `sent_bytes` is what went over the wire, resent bytes counted again; `direct_bytes` is what was
    stored by requests straight to the store; `is_new` is False if the
    version was there with the same content, from an earlier push or one that was quicker, or, with
    a bump, because the latest release has this content.
    """

    version: Version
    files: int
    total_bytes: int
    sent_bytes: int
    seconds: float
    is_new: bool
    direct_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """What a pull did; `fetched_bytes` is what came over the wire.

    Of these, `direct_bytes` came straight from the store.
    `files` and `total_bytes` are of the files that were wanted; `left_out` counts the others.
    """

    version: Version
    directory: Path
    files: int
    total_bytes: int
    fetched_bytes: int
    seconds: float
    left_out: int = 0
    direct_bytes: int = 0
