"""What an import brings: values that do not depend on where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelkeep.client import evaluation_records, lineage, records, specs, tree

DEVELOPMENT = "development"
STAGING = "staging"
PRODUCTION = "production"
ARCHIVED = "archived"
STAGES = (DEVELOPMENT, STAGING, PRODUCTION, ARCHIVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingVersion:
    """A version as it shall be.

    Attributes:
        version: its semantic version.
        called: what it is called where it comes from.
        draft: all that is said about it.
        files: what it holds; the digest is empty where the source does not know it.
        local: the same files where they can be read; empty if they need not be sent.
        stage: where it shall stand.
        stage_reason: why it is moved there.
        signatures: over it, as Sigstore bundles in JSON.
    """

    version: str
    called: str
    draft: specs.Draft
    files: tuple[records.File, ...]
    local: tuple[tree.HashedFile, ...] = ()
    stage: str = DEVELOPMENT
    stage_reason: str = ""
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingAlias:
    """An alias as it shall be; `version` is the semantic version it points at."""

    alias: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingEvaluation:
    """An evaluation as it shall be.

    Attributes:
        version: the semantic version that was measured.
        said: the evaluation as its registry had it.
        note: the note that it is recorded with here: which it was there, and what was noted.
    """

    version: str
    said: evaluation_records.Evaluation
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingLink:
    """A link of the lineage as it shall be; `versions` are those of the model that it needs."""

    link: lineage.LineageLink
    versions: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingRecords:
    """What is recorded of versions that are there, in the order in which it is to be recorded."""

    evaluations: tuple[IncomingEvaluation, ...] = ()
    links: tuple[IncomingLink, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingModel:
    """A model as it shall be; `ref` is `acme/voice`, `origin` says where it comes from."""

    ref: str
    origin: str
    kind: records.ModelKind
    owner: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
