"""Lineage: its records, and the calls about it."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from modelkeep.client import calls, connection, convert, errors, refs
from modelkeep.v1 import lineage_pb2 as pb


class LineageKind(enum.StrEnum):
    """What a node of the lineage is."""

    UNSPECIFIED = "unspecified"
    VERSION = "version"
    DATASET = "dataset"
    CODE = "code"
    HOSTED_MODEL = "hosted_model"
    OTHER = "other"


class LineageDirection(enum.StrEnum):
    """Which way to walk."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


_PREFIXES = {
    "dataset": LineageKind.DATASET,
    "code": LineageKind.CODE,
    "hosted": LineageKind.HOSTED_MODEL,
    "other": LineageKind.OTHER,
}
_REVISED = frozenset({LineageKind.DATASET, LineageKind.CODE})


@dataclass(frozen=True, slots=True)
class LineageNode:
    """Something that takes part in how versions are made.

    Attributes:
        kind: what it is.
        name: `acme/voice@1.2.0`, or a dataset, a repository, `provider/model`, a URI.
        revision: of a dataset or of code.
    """

    kind: LineageKind
    name: str
    revision: str = ""

    def __str__(self) -> str:
        if self.kind is LineageKind.VERSION:
            return self.name
        prefix = next(word for word, kind in _PREFIXES.items() if kind is self.kind)
        return f"{prefix}:{self.name}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageFound:
    """A node of an answer; `steps` below 0 are upstream. The rest is set for versions."""

    node: LineageNode
    steps: int
    state: str
    stage: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageLink:
    """That one thing was made from another; `sealed` if the target's own content says so."""

    source: LineageNode
    target: LineageNode
    relation: str
    sealed: bool = False
    reason: str = ""
    actor: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What lies around a node, the nearest first; `truncated` if there is more."""

    nodes: tuple[LineageFound, ...]
    links: tuple[LineageLink, ...]
    truncated: bool


def parse_node(text: str) -> LineageNode:
    """Read a node as people write it.

    `acme/voice@1.2.0`, `dataset:NAME[@REVISION]`, `code:REPOSITORY[@COMMIT]`,
    `hosted:PROVIDER/MODEL` or `other:URI`.

    Raises:
        BadReference: it is none of these.
    """
    prefix, colon, rest = text.partition(":")
    kind = _PREFIXES.get(prefix)
    if kind is None or not colon:
        return LineageNode(LineageKind.VERSION, str(refs.parse_version(text)))
    if not rest:
        raise errors.BadReference(
            f"{text!r} names nothing; write {prefix}:NAME.", reason="BAD_REFERENCE"
        )
    if kind in _REVISED:
        name, at, revision = rest.rpartition("@")
        if at and "/" not in revision:
            return LineageNode(kind, name, revision)
    return LineageNode(kind, rest)


class LineageCalls(connection.Connection):
    """Ask what was made from what, and say so."""

    async def lineage(
        self,
        node: LineageNode | str,
        *,
        namespace: str = "",
        direction: LineageDirection = LineageDirection.BOTH,
        depth: int = 5,
    ) -> Lineage:
        """What a thing was made from, and what was made from it.

        Args:
            node: where to begin, as `parse_node` reads it.
            namespace: whose datasets, code and the like are meant; a version's own by default.
            direction: which way to walk.
            depth: most steps, 1 to 20.
        """
        begin = parse_node(node) if isinstance(node, str) else node
        request = pb.QueryLineageRequest(
            parent=_parent(namespace, [begin]),
            node=_to_wire(begin),
            direction=pb.LineageDirection.Value(f"LINEAGE_DIRECTION_{direction.upper()}"),
            depth=depth,
        )
        response = await self._call(self._registry.QueryLineage, request)
        return Lineage(
            nodes=tuple(map(_found_from_wire, response.nodes)),
            links=tuple(map(_link_from_wire, response.links)),
            truncated=response.truncated,
        )

    async def add_lineage(
        self, link: LineageLink, *, namespace: str = "", reason: str = ""
    ) -> LineageLink:
        """Say that the link's target was made from its source."""
        request = pb.AddLineageRequest(
            parent=_parent(namespace, [link.target, link.source]),
            link=_link_to_wire(link),
            reason=reason,
            request_id=calls.new_request_id(),
        )
        await self._call(self._registry.AddLineage, request)
        return link

    async def remove_lineage(
        self, link: LineageLink, *, namespace: str = "", reason: str = ""
    ) -> LineageLink:
        """Take back what somebody added; what a sealed version says itself stays."""
        request = pb.RemoveLineageRequest(
            parent=_parent(namespace, [link.target, link.source]),
            link=_link_to_wire(link),
            reason=reason,
            request_id=calls.new_request_id(),
        )
        await self._call(self._registry.RemoveLineage, request)
        return link


def _parent(namespace: str, nodes: Iterable[LineageNode]) -> str:
    """The namespace that was named, or that of the first version."""
    if namespace:
        return refs.parse_namespace(namespace).namespace_name
    for node in nodes:
        if node.kind is LineageKind.VERSION:
            return refs.parse_version(node.name).namespace_name
    raise errors.BadReference(
        "None of these is a version, so say whose they are: name the namespace.",
        reason="NAMESPACE_MISSING",
    )


def _to_wire(node: LineageNode) -> pb.LineageNode:
    kind = pb.LineageKind.Value(f"LINEAGE_KIND_{node.kind.upper()}")
    is_version = node.kind is LineageKind.VERSION
    name = refs.parse_version(node.name).version_name if is_version else node.name
    return pb.LineageNode(kind=kind, name=name, revision=node.revision)


def _link_to_wire(link: LineageLink) -> pb.LineageLink:
    return pb.LineageLink(
        source=_to_wire(link.source), target=_to_wire(link.target), relation=link.relation
    )


def _from_wire(wire: pb.LineageNode) -> LineageNode:
    words = {number: name for name, number in pb.LineageKind.items()}
    word = words.get(wire.kind, "LINEAGE_KIND_OTHER").removeprefix("LINEAGE_KIND_").lower()
    kind = LineageKind(word)
    name = refs.from_name(wire.name) if kind is LineageKind.VERSION else wire.name
    return LineageNode(kind, name, wire.revision)


def _found_from_wire(wire: pb.LineageFoundNode) -> LineageFound:
    return LineageFound(
        node=_from_wire(wire.node),
        steps=wire.steps,
        state=wire.state,
        stage=wire.stage,
        aliases=tuple(wire.aliases),
    )


def _link_from_wire(wire: pb.LineageFoundLink) -> LineageLink:
    return LineageLink(
        source=_from_wire(wire.link.source),
        target=_from_wire(wire.link.target),
        relation=wire.link.relation,
        sealed=wire.sealed,
        reason=wire.reason,
        actor=wire.actor,
        created_at=convert.instant_from_wire(wire, "create_time"),
    )
