"""Deployment sheets: what somebody who runs a version has to know, on one page.

A sheet depends on what is recorded and on nothing else (not on the time), so that the same state
makes the same sheet.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

ROWS = (200, 50, 10)
"""Most entries of each list; fewer if the sheet would be too large."""
BYTES = 3 * 1024 * 1024
"""Largest sheet; clients of gRPC take 4 MiB unless told otherwise."""
TEXT_CHARS = 512
"""Longest text of one cell."""
PART_CHARS = 16 * 1024
"""Longest part of the card."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """The first entries of a list, and how many were left out."""

    entries: tuple[T, ...] = ()
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and what is said of it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Which version it is, and how it stands."""

    ref: str
    name: str
    kind: str
    ordinal: int
    state: str
    quarantine_reason: str
    stage: str
    aliases: tuple[str, ...]
    owner: str
    creator: str
    created_at: datetime.datetime
    finalized_at: datetime.datetime | None
    manifest_digest: str
    file_count: int
    total_bytes: int
    description: str
    labels: Listed[Pair]


@dataclass(frozen=True, slots=True)
class File:
    """A file, and what is inside as far as it is known."""

    path: str
    size_bytes: int
    digest: str
    media_type: str
    content: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """Something that goes in or comes out."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """What is said of weights, an adapter or a pipeline."""

    framework: str
    framework_version: str
    task: str
    architecture: str
    inputs: Listed[Tensor]
    outputs: Listed[Tensor]
    parameters: Listed[Pair]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a prompt, by its size: what it says is in `prompt.json`."""

    role: str
    characters: int
    beginning: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is said of a prompt configuration."""

    provider: str
    hosted_model: str
    variables: tuple[str, ...]
    messages: Listed[Message]
    sampling: tuple[Pair, ...]
    tools: Listed[Pair]
    response_schema: bool


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something it needs in order to run."""

    ecosystem: str
    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was stated, and where."""

    stated_in: str
    text: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset it was made with."""

    name: str
    revision: str
    role: str
    digest: str
    uri: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that was measured, and how sure it is."""

    name: str
    value: float
    direction: str
    unit: str
    sample_count: int | None
    spread: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation that nothing supersedes."""

    name: str
    dataset: str
    dataset_digest: str
    suite: str
    evaluator: str
    run_at: datetime.datetime
    recorded_by: str
    figures: Listed[Figure]


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What became of a gate when the version moved to its stage."""

    gate: str
    passed: bool
    sentence: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved or rejected the move."""

    approver: str
    approved: bool
    at: datetime.datetime
    roles: tuple[str, ...]
    comment: str


@dataclass(frozen=True, slots=True)
class Promotion:
    """How the version came to its stage.

    Attributes:
        stage: which.
        moved_by: who moved it.
        moved_at: when.
        reason: why.
        transition: name of the transition; '' if it was moved straight, without gates or approvals.
        requester: who asked for that.
        approvals: who said what about it.
        gates: what became of the gates.
    """

    stage: str
    moved_by: str
    moved_at: datetime.datetime
    reason: str
    transition: str = ""
    requester: str = ""
    approvals: tuple[Approval, ...] = ()
    gates: tuple[GateVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Something it was made from."""

    kind: str
    name: str
    revision: str
    relation: str
    state: str


@dataclass(frozen=True, slots=True)
class Signing:
    """A signature or another proof of where it comes from, and what became of checking it."""

    name: str
    kind: str
    verdict: str
    identity: str


@dataclass(frozen=True, slots=True)
class Running:
    """What runs in an environment, and what a rollback there would go back to.

    Attributes:
        environment: its id.
        deployment: name of the version's own running deployment there, or ''.
        target: where exactly it runs.
        since: since when.
        deployer: who recorded it.
        runs_now: version that runs there, if it is another one.
        rollback_to: version that a rollback would go back to, or ''.
        why_not: why there is none.
        commands: what to type.
    """

    environment: str
    deployment: str
    target: str
    since: datetime.datetime | None
    deployer: str
    runs_now: str
    rollback_to: str
    why_not: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A deployment sheet."""

    identity: Identity
    warnings: tuple[str, ...]
    files: Listed[File]
    weights: Weights | None
    prompt: Prompt | None
    dependencies: Listed[Dependency]
    hardware: Listed[Note]
    datasets: Listed[Dataset]
    source: tuple[Pair, ...]
    reported_metrics: Listed[Pair]
    evaluations: Listed[Evaluation]
    promotion: Promotion | None
    limitations: tuple[Note, ...]
    lineage: Listed[Origin]
    signatures: Listed[Signing]
    fetch: tuple[str, ...]
    deployments: Listed[Running]


def listed(entries: Iterable[T], most: int) -> Listed[T]:
    """The first so many of them."""
    every = tuple(entries)
    return Listed(every[:most], max(0, len(every) - most))


def cut(text: str, most: int = TEXT_CHARS) -> str:
    """The text, or its beginning with a sign that it goes on."""
    return text if len(text) <= most else text[: most - 1] + "…"


def number(value: float) -> str:
    """A figure as short as it can be without becoming another."""
    return repr(float(value)).removesuffix(".0")


def pairs(values: Sequence[tuple[str, str]]) -> tuple[Pair, ...]:
    """Those that say something."""
    return tuple(Pair(name, cut(value)) for name, value in values if value)
