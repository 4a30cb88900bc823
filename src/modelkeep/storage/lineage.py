"""Rows of lineage: nodes, edges, and walking from one to the next."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelkeep.domain import lineage, names, versions
from modelkeep.storage import database

_LOCK = 0x6C696E65616765
"""Any constant of our own; 'lineage' in ASCII."""

ADD_NODES = """
INSERT INTO lineage_node (namespace_id, kind, name, revision, version_id, key)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[])
ON CONFLICT (namespace_id, key) DO NOTHING"""
ADD_EDGES = """
INSERT INTO lineage_edge (source_id, target_id, relation, sealed, reason, actor)
SELECT f.node_id, t.node_id, l.relation, $6, $7, $8
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[], $5::text[])
    AS l (source_namespace, source_key, target_namespace, target_key, relation)
JOIN lineage_node f ON f.namespace_id = l.source_namespace AND f.key = l.source_key
JOIN lineage_node t ON t.namespace_id = l.target_namespace AND t.key = l.target_key
ON CONFLICT (source_id, target_id, relation) DO NOTHING RETURNING 1"""
REMOVE_EDGE = """
DELETE FROM lineage_edge e USING lineage_node f, lineage_node t
WHERE f.namespace_id = $1 AND f.key = $2 AND t.namespace_id = $3 AND t.key = $4
AND e.source_id = f.node_id AND e.target_id = t.node_id AND e.relation = $5 AND NOT e.sealed
RETURNING 1"""
LOCK = "SELECT pg_advisory_xact_lock($1)"
REACHES = """
WITH RECURSIVE reached (node_id) AS (
    SELECT node_id FROM lineage_node WHERE namespace_id = $1 AND key = $2
    UNION
    SELECT e.target_id FROM reached r JOIN lineage_edge e ON e.source_id = r.node_id)
SELECT EXISTS (
    SELECT FROM reached JOIN lineage_node n USING (node_id)
    WHERE n.namespace_id = $3 AND n.key = $4)
"""
FIND_NODE = "SELECT node_id FROM lineage_node WHERE namespace_id = $1 AND key = $2"
FIND_DATASET = """
SELECT node_id FROM lineage_node WHERE namespace_id = $1 AND kind = 'dataset' AND name = $2
ORDER BY revision LIMIT $3"""
_EDGES = """
SELECT source_id, target_id, relation, sealed, reason, actor, created_at FROM lineage_edge"""
LIST_DOWN = f"{_EDGES} WHERE source_id = ANY($1::bigint[]) ORDER BY source_id, target_id LIMIT $2"
LIST_UP = f"{_EDGES} WHERE target_id = ANY($1::bigint[]) ORDER BY target_id, source_id LIMIT $2"
# Of namespaces of which some models may be read ($3, $4), a link is shown that a version of these
# has, unless its other end is a version of another. Where a whole namespace may be read, all are.
_S_SEEN = "(s.namespace_id <> ALL ($4::bigint[]) OR sv.model_id = ANY ($3::bigint[]))"
_T_SEEN = "(t.namespace_id <> ALL ($4::bigint[]) OR tv.model_id = ANY ($3::bigint[]))"
_SHOWN = f"""FROM lineage_edge e
JOIN lineage_node s ON s.node_id = e.source_id LEFT JOIN version sv ON sv.version_id = s.version_id
JOIN lineage_node t ON t.node_id = e.target_id LEFT JOIN version tv ON tv.version_id = t.version_id
WHERE (s.version_id IS NULL OR {_S_SEEN}) AND (t.version_id IS NULL OR {_T_SEEN})
AND ({_S_SEEN} OR {_T_SEEN})"""
_EDGES_SHOWN = f"""e.source_id, e.target_id, e.relation, e.sealed, e.reason, e.actor, e.created_at
{_SHOWN}"""
LIST_DOWN_SHOWN = f"""SELECT {_EDGES_SHOWN} AND e.source_id = ANY($1::bigint[])
ORDER BY e.source_id, e.target_id LIMIT $2"""
LIST_UP_SHOWN = f"""SELECT {_EDGES_SHOWN} AND e.target_id = ANY($1::bigint[])
ORDER BY e.target_id, e.source_id LIMIT $2"""
_IS_SHOWN = f"""(EXISTS (SELECT {_SHOWN} AND e.source_id = n.node_id)
OR EXISTS (SELECT {_SHOWN} AND e.target_id = n.node_id))"""
FIND_NODE_SHOWN = f"""
SELECT n.node_id FROM lineage_node n WHERE n.namespace_id = $1 AND n.key = $2 AND {_IS_SHOWN}"""
FIND_DATASET_SHOWN = f"""
SELECT n.node_id FROM lineage_node n
WHERE n.namespace_id = $1 AND n.kind = 'dataset' AND n.name = $2 AND {_IS_SHOWN}
ORDER BY n.revision LIMIT $5"""
LIST_NODES = """
SELECT l.node_id, l.kind, l.name, l.revision, n.name AS namespace, m.name AS model, v.version,
v.state, v.stage, ARRAY(SELECT alias FROM alias_assignment a
    WHERE a.version_id = v.version_id AND a.valid_to IS NULL ORDER BY alias) AS aliases
FROM lineage_node l LEFT JOIN version v ON v.version_id = l.version_id
LEFT JOIN model m ON m.model_id = v.model_id
LEFT JOIN namespace n ON n.namespace_id = m.namespace_id
WHERE l.node_id = ANY($1::bigint[])"""


@dataclass(frozen=True, slots=True)
class Place:
    """A node and where its row is: the namespace's id, and the version's if it is one."""

    node: lineage.Node
    namespace_id: int
    version_id: int | None = None

    @property
    def key(self) -> bytes:
        """What tells it from others of the namespace."""
        return lineage.key_of(self.node, self.version_id)


@dataclass(frozen=True, slots=True)
class Covered:
    """Ids of namespaces of which some models may be read, and of these models."""

    namespace_ids: tuple[int, ...]
    model_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A link between two rows."""

    source: Place
    target: Place
    relation: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Who says so, and why; `sealed` if the target's own content does."""

    actor: str
    reason: str = ""
    sealed: bool = False


async def add(connection: database.Connection, lines: Sequence[Line], origin: Origin) -> int:
    """Add what is not there yet, nodes and edges; the number of edges that are new."""
    places = {(p.namespace_id, p.key): p for line in lines for p in (line.source, line.target)}
    # In one order everywhere, so that two who add the same nodes do not lock each other out.
    sorted_places = [places[at] for at in sorted(places)]
    await connection.execute(
        ADD_NODES,
        [place.namespace_id for place in sorted_places],
        [place.node.kind for place in sorted_places],
        ["" if place.version_id else place.node.name for place in sorted_places],
        [place.node.revision for place in sorted_places],
        [place.version_id for place in sorted_places],
        [place.key for place in sorted_places],
    )
    rows = await connection.fetch(
        ADD_EDGES,
        [line.source.namespace_id for line in lines],
        [line.source.key for line in lines],
        [line.target.namespace_id for line in lines],
        [line.target.key for line in lines],
        [line.relation for line in lines],
        origin.sealed,
        origin.reason,
        origin.actor,
    )
    return len(rows)


async def remove(connection: database.Connection, line: Line) -> bool:
    """Remove an edge that somebody added; False if there is none."""
    source, target = line.source, line.target
    found = await connection.fetchval(
        REMOVE_EDGE,
        source.namespace_id,
        source.key,
        target.namespace_id,
        target.key,
        line.relation,
    )
    return found is not None


async def lock(connection: database.Connection) -> None:
    """Let nobody else add an edge by hand before this transaction ends."""
    await connection.execute(LOCK, _LOCK)


async def reaches(connection: database.Connection, source: Place, target: Place) -> bool:
    """Whether the target is made from the source, however indirectly."""
    found: bool = await connection.fetchval(
        REACHES, source.namespace_id, source.key, target.namespace_id, target.key
    )
    return found


async def find(
    connection: database.Connection, place: Place, limit: int, covered: Covered | None = None
) -> list[int]:
    """Ids of the node; of all revisions of a dataset that is asked for without one.

    Where some models are covered, what is no version is there if a link of it is shown.
    """
    is_any = place.node.kind is lineage.Kind.DATASET and not place.node.revision
    key = place.node.name if is_any else place.key
    at_most = (limit,) if is_any else ()
    if covered is None or place.version_id is not None:
        statement = FIND_DATASET if is_any else FIND_NODE
        rows = await connection.fetch(statement, place.namespace_id, key, *at_most)
    else:
        statement = FIND_DATASET_SHOWN if is_any else FIND_NODE_SHOWN
        shown = (covered.model_ids, covered.namespace_ids)
        rows = await connection.fetch(statement, place.namespace_id, key, *shown, *at_most)
    return [row["node_id"] for row in rows]


async def list_edges(
    connection: database.Connection,
    node_ids: Collection[int],
    limit: int,
    *,
    down: bool,
    covered: Covered | None = None,
) -> list[database.Row]:
    """Edges that leave these nodes, or that come into them, at most `limit`."""
    asked = (list(node_ids), limit)
    if covered is None:
        return await connection.fetch(LIST_DOWN if down else LIST_UP, *asked)
    statement = LIST_DOWN_SHOWN if down else LIST_UP_SHOWN
    return await connection.fetch(statement, *asked, covered.model_ids, covered.namespace_ids)


async def list_nodes(
    connection: database.Connection, node_ids: Collection[int]
) -> dict[int, tuple[lineage.Node, lineage.Standing | None]]:
    """Nodes by id, versions with how they stand."""
    rows = await connection.fetch(LIST_NODES, list(node_ids))
    return {row["node_id"]: _node(row) for row in rows}


def _node(row: database.Row) -> tuple[lineage.Node, lineage.Standing | None]:
    kind = lineage.Kind(row["kind"])
    if kind is not lineage.Kind.VERSION:
        return lineage.Node(kind, row["name"], row["revision"]), None
    name = names.VersionName(row["namespace"], row["model"], row["version"])
    state = versions.VersionState(row["state"])
    standing = lineage.Standing(state, row["stage"], tuple(row["aliases"]))
    return lineage.Node(kind, str(name)), standing
