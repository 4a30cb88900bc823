"""Lineage on the wire: its requests, its answers, and its part of RegistryService."""

from functools import partial
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import checks, errors, limits, lineage, names
from modelkeep.service import changes
from modelkeep.service import lineage as usecase
from modelkeep.transport import convert
from modelkeep.v1 import lineage_pb2 as pb

_DEPTH = 5
_KINDS: dict[int, lineage.Kind] = {
    pb.LINEAGE_KIND_VERSION: lineage.Kind.VERSION,
    pb.LINEAGE_KIND_DATASET: lineage.Kind.DATASET,
    pb.LINEAGE_KIND_CODE: lineage.Kind.CODE,
    pb.LINEAGE_KIND_HOSTED_MODEL: lineage.Kind.HOSTED_MODEL,
    pb.LINEAGE_KIND_OTHER: lineage.Kind.OTHER,
}
_DIRECTIONS: dict[int, lineage.Direction] = {
    pb.LINEAGE_DIRECTION_UNSPECIFIED: lineage.Direction.BOTH,
    pb.LINEAGE_DIRECTION_UPSTREAM: lineage.Direction.UPSTREAM,
    pb.LINEAGE_DIRECTION_DOWNSTREAM: lineage.Direction.DOWNSTREAM,
    pb.LINEAGE_DIRECTION_BOTH: lineage.Direction.BOTH,
}


class LineageRpcs:
    """The RPCs of lineage, for the servicer that offers them."""

    _lineage: usecase.Lineage

    async def AddLineage(
        self, request: pb.AddLineageRequest, context: Any
    ) -> pb.AddLineageResponse:
        link = await self._lineage.add(callers.current(), *_saying("AddLineage", request))
        return pb.AddLineageResponse(link=_link_to_wire(link))

    async def RemoveLineage(
        self, request: pb.RemoveLineageRequest, context: Any
    ) -> pb.RemoveLineageResponse:
        await self._lineage.remove(callers.current(), *_saying("RemoveLineage", request))
        return pb.RemoveLineageResponse()

    async def QueryLineage(
        self, request: pb.QueryLineageRequest, context: Any
    ) -> pb.QueryLineageResponse:
        return _graph_to_wire(await self._lineage.query(callers.current(), *_question(request)))


def _saying(
    method: str, request: Any
) -> tuple[changes.Once, names.NamespaceName, lineage.Link, str]:
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, method, request))
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        link = found.make("link", partial(_link_from_wire, request.link))
        found.text("reason", request.reason, limits.REASON_CHARS, layout=True)
    return once, parent, link, request.reason


def _question(
    request: pb.QueryLineageRequest,
) -> tuple[names.NamespaceName, lineage.Node, lineage.Direction, int]:
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        node = found.make("node", partial(_node_from_wire, request.node))
        direction = found.make("direction", partial(_direction, request.direction))
        found.number("depth", request.depth, 0, limits.LINEAGE_DEPTH)
    return parent, node, direction, request.depth or _DEPTH


def _direction(number: int) -> lineage.Direction:
    if number not in _DIRECTIONS:
        raise errors.invalid(f"{number} is not a known value")
    return _DIRECTIONS[number]


def _link_from_wire(link: pb.LineageLink) -> lineage.Link:
    with checks.Checks() as found:
        source = found.make("source", partial(_node_from_wire, link.source))
        target = found.make("target", partial(_node_from_wire, link.target))
        found.id("relation", link.relation)
    return lineage.Link(source, target, link.relation)


def _node_from_wire(node: pb.LineageNode) -> lineage.Node:
    with checks.Checks() as found:
        kind = found.make("kind", partial(convert.enum_from_wire, node.kind, _KINDS))
    return lineage.Node(kind, node.name, node.revision)


def _node_to_wire(node: lineage.Node) -> pb.LineageNode:
    kind = convert.enum_to_wire(node.kind, _KINDS)
    return pb.LineageNode(kind=kind, name=node.name, revision=node.revision)  # type: ignore[arg-type]


def _link_to_wire(link: lineage.Link) -> pb.LineageLink:
    return pb.LineageLink(
        source=_node_to_wire(link.source),
        target=_node_to_wire(link.target),
        relation=link.relation,
    )


def _graph_to_wire(graph: lineage.Graph) -> pb.QueryLineageResponse:
    return pb.QueryLineageResponse(
        nodes=map(_found_to_wire, graph.nodes),
        links=map(_edge_to_wire, graph.edges),
        truncated=graph.truncated,
    )


def _found_to_wire(found: lineage.FoundNode) -> pb.LineageFoundNode:
    wire = pb.LineageFoundNode(node=_node_to_wire(found.node), steps=found.steps)
    if found.standing is not None:
        wire.state, wire.stage = found.standing.state.value, found.standing.stage
        wire.aliases.extend(found.standing.aliases)
    return wire


def _edge_to_wire(edge: lineage.Edge) -> pb.LineageFoundLink:
    return pb.LineageFoundLink(
        link=_link_to_wire(edge.link),
        sealed=edge.sealed,
        reason=edge.reason,
        actor=edge.actor,
        create_time=convert.timestamp_to_wire(edge.created_at),
    )
