"""Use cases of lineage: what versions are made from, and what is made from them."""

import functools
from collections.abc import Collection, Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, limits, lineage, names, sight, versions
from modelkeep.service import changes
from modelkeep.storage import database, model_names
from modelkeep.storage import lineage as rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import versions as version_rows

_SEALED = frozenset({versions.VersionState.READY, versions.VersionState.QUARANTINED})


class Lineage:
    """Adds, removes and follows links. What a version's content says is linked when it is sealed.

    No walk along the links comes back to where it began: a version that is being sealed has nothing
    made from it yet, and links that are added by hand are added one after another.
    """

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def add(
        self,
        caller: callers.Caller,
        once: changes.Once,
        parent: names.NamespaceName,
        link: lineage.Link,
        reason: str,
    ) -> lineage.Link:
        """Say that one thing was made from another; saying so twice is the same as once.

        Raises `errors.NotFound` (namespace, version), `errors.FailedPrecondition` (LINEAGE_CYCLE;
        a version that is not sealed).
        """
        policy.require(caller, policy.Action.ADD_LINEAGE, parent)
        _require_readable(caller, link.source, link.target)
        body = functools.partial(_add, parent, link, reason)
        return await self._changes.apply(caller, once, lineage.Link, body)

    async def remove(
        self,
        caller: callers.Caller,
        once: changes.Once,
        parent: names.NamespaceName,
        link: lineage.Link,
        reason: str,
    ) -> lineage.Link:
        """Take back what somebody added.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (said by a sealed version itself).
        """
        policy.require(caller, policy.Action.ADD_LINEAGE, parent)
        _require_readable(caller, link.source, link.target)
        body = functools.partial(_remove, parent, link, reason)
        return await self._changes.apply(caller, once, lineage.Link, body)

    async def query(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName,
        node: lineage.Node,
        direction: lineage.Direction,
        depth: int,
    ) -> lineage.Graph:
        """What lies up to `depth` steps from a node; empty if nothing is linked to it.

        It leads through namespaces that the caller may read, and ends where there is another. Of a
        namespace of which they may read some models, it shows the links of these models' versions.
        Raises `errors.NotFound` (namespace, version).
        """
        policy.require_some(caller, policy.Action.READ_LINEAGE, parent)
        _require_readable(caller, node)
        sight.add(policy.reach(caller, policy.Action.READ_LINEAGE))
        async with self._db.connection() as connection:
            place = await _place(connection, parent, node)
            asked = {parent.namespace, (node.version or parent).namespace}
            walk = _Walk(connection, await _covered(connection, caller, asked))
            await walk.begin(place)
            if direction is not lineage.Direction.DOWNSTREAM:
                await walk.go(depth, down=False)
            if direction is not lineage.Direction.UPSTREAM:
                await walk.go(depth, down=True)
            return await walk.graph()


def _require_readable(caller: callers.Caller, *nodes: lineage.Node) -> None:
    """Versions may be of other namespaces than the one that is asked in."""
    for node in nodes:
        if node.version is not None:
            policy.require(caller, policy.Action.READ_VERSION, node.version)


async def _covered(
    connection: database.Connection, caller: callers.Caller, asked: Collection[str]
) -> rows.Covered | None:
    """Of which of the namespaces some models only may be read, and which; None if of none."""
    namespace_ids: list[int] = []
    model_ids: list[int] = []
    for namespace in asked:
        only = policy.models_with(caller, policy.Action.READ_LINEAGE, namespace)
        if only is not None:
            namespace_ids.append(await namespace_rows.get_id(connection, namespace))
            model_ids += await model_rows.find_ids(connection, namespace_ids[-1], only) or ()
    if not namespace_ids:
        return None
    return rows.Covered(tuple(namespace_ids), tuple(model_ids))


async def link_sealed(stored: version_rows.Stored, change: changes.Change) -> None:
    """Link a version that is being sealed to what its content says it was made from."""
    content = stored.version.content
    name = str(stored.version.name)
    own = rows.Place(
        lineage.Node(lineage.Kind.VERSION, name), stored.namespace_id, stored.version_id
    )
    lines = [
        rows.Line(rows.Place(node, stored.namespace_id), own, relation)
        for node, relation in lineage.origins(content)
    ]
    if content.base_version:
        # Held by who made the draft, who was permitted to read it; who seals it need not be.
        async with database.widened(change.connection, sight.Work.LINK_ORIGINS):
            base = await _base_place(change.connection, content.base_version)
            lines.append(rows.Line(base, own, lineage.relation_to_base(content)))
            await _link(lines, change)
    elif lines:
        await _link(lines, change)


async def _base_place(connection: database.Connection, written: str) -> rows.Place:
    today = await model_names.today(connection, names.VersionName.parse(written))
    await version_rows.hold(connection, today)  # its model may be leaving for elsewhere
    return await _version_place(connection, today)


async def _link(lines: Sequence[rows.Line], change: changes.Change) -> None:
    await rows.add(change.connection, lines, rows.Origin(change.caller.principal, sealed=True))


async def _add(
    parent: names.NamespaceName, link: lineage.Link, reason: str, change: changes.Change
) -> lineage.Link:
    await rows.lock(change.connection)
    line = await _line(parent, link, change.connection)
    async with database.widened(change.connection, sight.Work.FIND_CYCLE):
        is_cycle = await rows.reaches(change.connection, line.target, line.source)
    if is_cycle:
        raise errors.FailedPrecondition(
            f"{link.source} is itself made from {link.target}; nothing is made from itself",
            reason="LINEAGE_CYCLE",
        )
    origin = rows.Origin(change.caller.principal, reason)
    if await rows.add(change.connection, [line], origin):
        change.record(parent.namespace, _event("lineage.added", parent, link, reason))
    return link


async def _remove(
    parent: names.NamespaceName, link: lineage.Link, reason: str, change: changes.Change
) -> lineage.Link:
    await rows.lock(change.connection)
    line = await _line(parent, link, change.connection)
    if not await rows.remove(change.connection, line):
        raise errors.NotFound(
            f"nobody added that {link.target} was made from {link.source} as {link.relation}; "
            "what a sealed version says itself stays",
            resource=parent,
        )
    change.record(parent.namespace, _event("lineage.removed", parent, link, reason))
    return link


def _event(
    action: str, parent: names.NamespaceName, link: lineage.Link, reason: str
) -> events.Event:
    said: dict[str, events.Json] = {
        "source": str(link.source),
        "target": str(link.target),
        "relation": link.relation,
        "reason": reason,
    }
    before, after = (None, said) if action == "lineage.added" else (said, None)
    return events.Event(action, link.target.version or parent, before, after)


async def _line(
    parent: names.NamespaceName, link: lineage.Link, connection: database.Connection
) -> rows.Line:
    """The link between rows, its versions held and found to be sealed."""
    places = []
    for node in (link.source, link.target):
        place = await _place(connection, parent, node)
        if node.version is not None:
            held = (await version_rows.hold(connection, node.version)).version
            if held.state not in _SEALED:
                raise errors.FailedPrecondition(
                    f"{held.name} is {held.state}; only sealed versions are linked",
                    reason="VERSION_NOT_SEALED",
                    state=held.state,
                )
        places.append(place)
    return rows.Line(places[0], places[1], link.relation)


async def _place(
    connection: database.Connection, parent: names.NamespaceName, node: lineage.Node
) -> rows.Place:
    if node.version is not None:
        return await _version_place(connection, node.version)
    return rows.Place(node, await namespace_rows.get_id(connection, parent.namespace))


async def _version_place(connection: database.Connection, name: names.VersionName) -> rows.Place:
    stored = await version_rows.get(connection, name)
    node = lineage.Node(lineage.Kind.VERSION, str(stored.version.name))
    return rows.Place(node, stored.namespace_id, stored.version_id)


class _Walk:
    """Steps from node to node, each node visited once, until there are too many."""

    def __init__(self, connection: database.Connection, covered: rows.Covered | None) -> None:
        self._connection = connection
        self._covered = covered
        self._steps: dict[int, int] = {}
        self._edges: dict[tuple[int, int, str], database.Row] = {}
        self._start: Sequence[int] = ()
        self._alone: rows.Place | None = None
        self._truncated = False

    async def begin(self, place: rows.Place) -> None:
        """Stand on a node; on all revisions of a dataset that has none named."""
        self._alone = place
        most = limits.LINEAGE_NODES
        self._start = await rows.find(self._connection, place, most, self._covered)
        self._steps = dict.fromkeys(self._start, 0)

    async def go(self, depth: int, *, down: bool) -> None:
        """Walk so many steps one way."""
        edge: Sequence[int] = self._start
        for step in range(1, depth + 1):
            room = limits.LINEAGE_EDGES - len(self._edges)
            found = await self._edges_of(edge, room + 1, down=down)
            self._truncated |= len(found) > room
            edge = self._reach(found[:room], step if down else -step)
            if not edge or self._truncated:
                return
        beyond = await self._edges_of(edge, 1, down=down)
        self._truncated |= bool(beyond)

    async def _edges_of(
        self, node_ids: Sequence[int], limit: int, *, down: bool
    ) -> Sequence[database.Row]:
        covered = self._covered
        return await rows.list_edges(self._connection, node_ids, limit, down=down, covered=covered)

    def _reach(self, found: Sequence[database.Row], steps: int) -> list[int]:
        """Note edges; the nodes at their far ends that nobody stood on before."""
        new: list[int] = []
        for row in found:
            node_id = row["target_id"] if steps > 0 else row["source_id"]
            if node_id not in self._steps:
                if len(self._steps) == limits.LINEAGE_NODES:
                    self._truncated = True
                    continue
                self._steps[node_id] = steps
                new.append(node_id)
            self._edges[row["source_id"], row["target_id"], row["relation"]] = row
        return new

    async def graph(self) -> lineage.Graph:
        """What was found, the nearest first."""
        nodes = await rows.list_nodes(self._connection, self._steps)
        found = [
            lineage.FoundNode(nodes[node_id][0], steps, nodes[node_id][1])
            for node_id, steps in self._steps.items()
        ]
        if not found and self._alone is not None and self._alone.version_id is not None:
            found = [await self._unlinked(self._alone)]
        found.sort(key=lambda one: (abs(one.steps), one.steps, str(one.node)))
        edges = [_edge(row, nodes) for row in self._edges.values()]
        return lineage.Graph(tuple(found), tuple(edges), self._truncated)

    async def _unlinked(self, place: rows.Place) -> lineage.FoundNode:
        assert place.node.version is not None  # noqa: S101 - only versions have an id
        stored = (await version_rows.get(self._connection, place.node.version)).version
        standing = lineage.Standing(stored.state, stored.stage, stored.aliases)
        return lineage.FoundNode(place.node, 0, standing)


def _edge(
    row: database.Row, nodes: dict[int, tuple[lineage.Node, lineage.Standing | None]]
) -> lineage.Edge:
    link = lineage.Link(nodes[row["source_id"]][0], nodes[row["target_id"]][0], row["relation"])
    return lineage.Edge(link, row["sealed"], row["reason"], row["actor"], row["created_at"])
