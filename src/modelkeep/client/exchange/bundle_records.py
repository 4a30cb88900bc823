"""What a bundle says: one model, some versions of it, what points at them and ever did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelkeep.client import evaluation_records, lineage, records, specs

FORMAT = "modelkeep-bundle"
FORMAT_VERSION = 2
OLDEST_VERSION = 1
"""The oldest format that is read: it has neither evaluations nor links."""
INDEX_NAME = "modelkeep-bundle.json"
MAX_INDEX_BYTES = 256 * 1024 * 1024
EVALUATIONS_NAME = "modelkeep-evaluations.jsonl"
MAX_EVALUATIONS_BYTES = 128 * 1024 * 1024
MAX_EVALUATIONS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationsPart:
    """What the index says of the member that has the evaluations."""

    digest: str
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledVersion:
    """One version as its registry had it."""

    version: str
    ordinal: int
    stage: str
    manifest_digest: str
    draft: specs.Draft
    files: tuple[records.File, ...]
    creator: str
    create_client: str
    created_at: datetime | None
    finalized_at: datetime | None
    signatures: tuple[str, ...] = ()
    """Sigstore bundles in JSON, as they were attached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledAlias:
    """An alias that is set: to which version, by whom, when and why."""

    alias: str
    version: str
    actor: str
    reason: str
    set_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledMove:
    """A version that an alias pointed at, or that was in a stage, from when to when."""

    subject: str
    version: str
    actor: str
    reason: str
    begun_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All that a bundle says; versions are in the order of their ordinals.

    `evaluations` and `links` are in the order in which they were recorded, each correction behind
    what it corrects. `left_behind` counts what the source has besides, by what it is called.
    """

    name: str
    kind: records.ModelKind
    owner: str
    description: str
    labels: Mapping[str, str]
    creator: str
    created_at: datetime | None
    versions: tuple[BundledVersion, ...]
    aliases: tuple[BundledAlias, ...]
    alias_history: tuple[BundledMove, ...]
    stage_history: tuple[BundledMove, ...]
    evaluations: tuple[evaluation_records.Evaluation, ...] = ()
    links: tuple[lineage.LineageLink, ...] = ()
    left_behind: Mapping[str, int] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def blobs(self) -> dict[str, int]:
        """The size of each blob by its digest, in the order in which they lie in the bundle."""
        sizes: dict[str, int] = {}
        for version in self.versions:
            for file in version.files:
                sizes.setdefault(file.digest, file.size_bytes)
        return sizes


def blob_name(digest: str) -> str:
    """The name of a blob's member: `blobs/sha256/<hex>`."""
    return f"blobs/{digest.replace(':', '/')}"
