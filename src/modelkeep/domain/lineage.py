"""Lineage: what versions are made from, and what is made from them."""

import datetime
import enum
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from modelkeep.domain import checks, limits, names, specs, versions


class Kind(enum.StrEnum):
    """What a node is."""

    VERSION = "version"
    DATASET = "dataset"
    CODE = "code"
    HOSTED_MODEL = "hosted_model"
    OTHER = "other"


class Direction(enum.StrEnum):
    """Which way to walk: to what a node is made from, to what is made from it, or both."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


_REVISED = frozenset({Kind.DATASET, Kind.CODE})


@dataclass(frozen=True, slots=True)
class Node:
    """Something that takes part in how versions are made.

    Attributes:
        kind: what it is.
        name: a version's resource name, a dataset's name, a repository, `provider/model`, a URI.
        revision: of a dataset or of code; '' stands for none, and in questions for any.
    """

    kind: Kind
    name: str
    revision: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            if self.kind is Kind.VERSION:
                found.make("name", lambda: names.VersionName.parse(self.name))
            else:
                longest = limits.NAME_CHARS if self.kind is Kind.DATASET else limits.URI_CHARS
                found.text("name", self.name, longest, least=1)
            revised = self.kind in _REVISED
            found.text("revision", self.revision, limits.REVISION_CHARS if revised else 0)

    @property
    def version(self) -> names.VersionName | None:
        """The version it is, if it is one."""
        return names.VersionName.parse(self.name) if self.kind is Kind.VERSION else None

    def __str__(self) -> str:
        if self.kind is Kind.VERSION:
            return self.name
        return f"{self.kind} {self.name}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class Link:
    """That one thing was made from another: source, target and how."""

    source: Node
    target: Node
    relation: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("relation", self.relation)
            for field, node in (("source", self.source), ("target", self.target)):
                known = node.kind is not Kind.DATASET or bool(node.revision)
                found.require(known, f"{field}.revision", "must say which revision of the dataset")
            same = self.source == self.target
            found.require(not same, "target", "is the source itself")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a version stands that a node is: what somebody who would touch it wants to know."""

    state: versions.VersionState
    stage: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A node of an answer; `steps` from the one that was asked for, below 0 upstream."""

    node: Node
    steps: int
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Edge:
    """A link with its origin; `sealed` ones are said by the target's own content."""

    link: Link
    sealed: bool
    reason: str
    actor: str
    created_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Graph:
    """An answer; `truncated` if there is more than one answer may hold, or than was asked for."""

    nodes: tuple[FoundNode, ...]
    edges: tuple[Edge, ...]
    truncated: bool


def key_of(node: Node, version_id: int | None) -> bytes:
    """What tells a node from all others of its namespace."""
    words = (node.kind.value, str(version_id)) if version_id else _words(node)
    return hashlib.sha256("\n".join(words).encode()).digest()


def _words(node: Node) -> tuple[str, ...]:
    return node.kind.value, node.name, node.revision


def origins(content: specs.Content) -> Iterator[tuple[Node, str]]:
    """What a version's content says it was made from and how, but for a base in this registry."""
    for dataset in content.datasets:
        role = dataset.role
        relation = "dataset" if role is specs.DatasetRole.UNSPECIFIED else role.value
        yield Node(Kind.DATASET, dataset.name, dataset.revision), relation
    if content.source.repository:
        yield Node(Kind.CODE, content.source.repository, content.source.commit), "code"
    match content.spec:
        case specs.PromptSpec(provider=provider, hosted_model=hosted):
            yield Node(Kind.HOSTED_MODEL, f"{provider}/{hosted}"), "prompt"
        case specs.ModelSpec(base=specs.BaseModel(uri=uri)) if uri:
            yield Node(Kind.OTHER, uri), relation_to_base(content)


def relation_to_base(content: specs.Content) -> str:
    """How a version relates to its base."""
    base = content.spec.base if isinstance(content.spec, specs.ModelSpec) else None
    if base is None or base.relation is specs.BaseRelation.UNSPECIFIED:
        return "base"
    return base.relation.value
