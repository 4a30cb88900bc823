"""A model's rows on their way to another namespace: what keeps them, and what follows the model.

What a table does when a model moves is in `FOLLOWS` or in `STAYS`; a test compares both with the
catalogue, so that no table is forgotten.
"""

from dataclasses import dataclass

from modelkeep.domain import names
from modelkeep.storage import database, model_names
from modelkeep.storage import models as model_rows

STATEMENT_TIMEOUT_S = 300.0
"""A model may have very many rows."""

# Not only against other changes: whoever refers to the model or to a version of it by a foreign key
# is waited for, and what they wrote is seen by the statements that follow.
LOCK_MODEL = f"{model_rows.GET} FOR UPDATE OF m"
LOCK_VERSIONS = """
SELECT FROM version WHERE model_id = $1 ORDER BY version_id FOR UPDATE"""
# Who changes what holds in a whole namespace locks its row.
HOLD_NAMESPACE = "SELECT FROM namespace WHERE namespace_id = $1 FOR SHARE"

IS_TAKEN = """
SELECT EXISTS (SELECT FROM model_name WHERE namespace_id = $2 AND name = $3 AND model_id <> $1)"""
FIND_DRAFTS = """
SELECT version FROM version WHERE model_id = $1 AND state = 'draft' ORDER BY ordinal LIMIT 4"""
FIND_TRANSITIONS = """
SELECT v.version || '/transitions/' || t.key FROM transition t JOIN version v USING (version_id)
WHERE t.model_id = $1 AND t.state IS NULL AND t.expires_at > now()
ORDER BY t.transition_id LIMIT 4"""
FIND_RUNNING = """
SELECT d.key || ' (' || v.version || ' in ' || e.name || ')' FROM deployment d
JOIN version v USING (version_id) JOIN environment e ON e.environment_id = d.environment_id
WHERE d.model_id = $1 AND d.ended_at IS NULL ORDER BY d.deployment_id LIMIT 4"""
FIND_BINDINGS = """
SELECT binding_id || ' (' || principal || ', ' || role || ')' FROM role_binding
WHERE model_id = $1 ORDER BY binding_id LIMIT 4"""
FIND_ENVIRONMENTS = """
SELECT DISTINCT o.name FROM deployment d JOIN environment o ON o.environment_id = d.environment_id
WHERE d.model_id = $1 AND NOT EXISTS (
    SELECT FROM environment n WHERE n.namespace_id = $2 AND n.name = o.name)
ORDER BY o.name LIMIT 4"""
HOLD_ENVIRONMENTS = """
SELECT FROM environment WHERE namespace_id = $1 ORDER BY environment_id FOR KEY SHARE"""
FIND_STAGES = """
SELECT DISTINCT stage FROM stage_assignment
WHERE model_id = $1 AND valid_to IS NULL AND stage IN ('staging', 'production') ORDER BY stage"""
FIND_GATED = """
SELECT stage FROM gate_policy WHERE namespace_id = $1 AND model_id IS NULL
AND stage = ANY ($2::text[]) ORDER BY stage"""
FIND_OWN_GATES = "SELECT stage FROM gate_policy WHERE model_id = $1 LIMIT 1"
FIND_OWN_PROTECTIONS = "SELECT pattern FROM alias_protection WHERE model_id = $1 LIMIT 1"
FIND_OWN_PLAN = "SELECT actor FROM evaluation_plan WHERE model_id = $1"
FIND_RISK = """
SELECT risk_tier FROM model WHERE model_id = $1
AND (risk_tier <> 'unclassified' OR revalidation_days <> 0)"""
FIND_ALIASES = """
SELECT alias FROM alias_assignment WHERE model_id = $1 AND valid_to IS NULL ORDER BY alias"""
FIND_PICKLED = """
SELECT v.version FROM version v JOIN namespace n ON n.namespace_id = $2
WHERE v.model_id = $1 AND v.state = 'ready' AND n.pickle_policy = 'quarantine' AND EXISTS (
    SELECT FROM version_file f JOIN blob_facts x
    ON x.namespace_id = f.namespace_id AND x.digest = f.digest
    WHERE f.version_id = v.version_id AND x.pickle_verdict <> 'none')
ORDER BY v.ordinal LIMIT 1"""

NEEDED = """SELECT DISTINCT f.digest, f.size_bytes FROM version v
JOIN version_file f ON f.version_id = v.version_id WHERE v.model_id = $1"""
THERE = """EXISTS (SELECT FROM blob b WHERE b.namespace_id = $2 AND b.digest = o.digest
AND b.rotten_at IS NULL OFFSET 0)"""
LOCK_BLOBS = f"""
SELECT FROM blob WHERE namespace_id = $2 AND digest IN (SELECT o.digest FROM ({NEEDED}) o)
ORDER BY digest FOR KEY SHARE"""
COUNT_MISSING = f"""
SELECT count(*) AS blobs, coalesce(sum(o.size_bytes), 0)::bigint AS size_bytes
FROM ({NEEDED}) o WHERE NOT {THERE}"""

RENAME = """
UPDATE model SET namespace_id = $2, name = $3, updated_at = now(), revision = revision + 1
WHERE model_id = $1"""
FOLLOW_VERSION = "UPDATE version SET namespace_id = $2 WHERE model_id = $1"
# What is found within is the same bytes in any namespace.
COPY_FACTS = """
INSERT INTO blob_facts (namespace_id, digest, rules, format, tensor_count, parameter_count, dtypes,
architecture, quantisation, opset, pickle_verdict, facts, inspected_at)
SELECT $2, x.digest, x.rules, x.format, x.tensor_count, x.parameter_count, x.dtypes, x.architecture,
x.quantisation, x.opset, x.pickle_verdict, x.facts, x.inspected_at FROM blob_facts x
WHERE x.namespace_id = $3 AND x.digest IN (
    SELECT f.digest FROM version v JOIN version_file f ON f.version_id = v.version_id
    WHERE v.model_id = $1)
ORDER BY x.digest ON CONFLICT DO NOTHING"""
_OF_VERSIONS = "version_id IN (SELECT version_id FROM version WHERE model_id = $1)"
FOLLOW_FILES = f"UPDATE version_file SET namespace_id = $2 WHERE {_OF_VERSIONS}"
FOLLOW_LABELS = f"UPDATE version_label SET namespace_id = $2 WHERE {_OF_VERSIONS}"
# Each kind by its own index.
FOLLOW_REPORTED = f"""
UPDATE version_metric SET namespace_id = $2 WHERE source = 'reported' AND {_OF_VERSIONS}"""
FOLLOW_EVALUATED = f"""
UPDATE version_metric SET namespace_id = $2 WHERE source = 'evaluated' AND {_OF_VERSIONS}"""
FOLLOW_PARAMETERS = f"UPDATE version_parameter SET namespace_id = $2 WHERE {_OF_VERSIONS}"
FOLLOW_DATASETS = f"UPDATE version_dataset SET namespace_id = $2 WHERE {_OF_VERSIONS}"
FOLLOW_SIGNATURES = f"UPDATE signature SET namespace_id = $2 WHERE {_OF_VERSIONS}"
FOLLOW_ALIASES = "UPDATE alias_assignment SET namespace_id = $2 WHERE model_id = $1"
FOLLOW_PROTECTIONS = "UPDATE alias_protection SET namespace_id = $2 WHERE model_id = $1"
FOLLOW_STAGES = "UPDATE stage_assignment SET namespace_id = $2 WHERE model_id = $1"
FOLLOW_RESULTS = """
UPDATE gate_result SET namespace_id = $2
WHERE assignment_id IN (SELECT assignment_id FROM stage_assignment WHERE model_id = $1)"""
FOLLOW_POLICIES = "UPDATE gate_policy SET namespace_id = $2 WHERE model_id = $1"
FOLLOW_TRANSITIONS = "UPDATE transition SET namespace_id = $2 WHERE model_id = $1"
FOLLOW_VERDICTS = """
UPDATE transition_verdict SET namespace_id = $2
WHERE transition_id IN (SELECT transition_id FROM transition WHERE model_id = $1)"""
FOLLOW_EVALUATIONS = "UPDATE evaluation SET namespace_id = $2 WHERE model_id = $1"
FOLLOW_PLAN = "UPDATE evaluation_plan SET namespace_id = $2 WHERE model_id = $1"
# Where something ran is told by the name of its environment, which both namespaces have.
FOLLOW_DEPLOYMENTS = """
UPDATE deployment d SET namespace_id = $2, environment_id = n.environment_id
FROM environment o JOIN environment n ON n.namespace_id = $2 AND n.name = o.name
WHERE d.model_id = $1 AND o.environment_id = d.environment_id"""
RELEASE = "DELETE FROM blob_hold WHERE model_id = $1"

_KEYS = """(SELECT sha256(convert_to('version' || E'\\n' || version_id, 'UTF8'))
FROM version WHERE model_id = $1)"""
# Datasets, commits and the like are told by each namespace for itself: versions that leave are
# linked to those of the same name where they go, and no more to those where they were.
ADD_ORIGINS = f"""
INSERT INTO lineage_node (namespace_id, kind, name, revision, key)
SELECT DISTINCT $2::bigint, o.kind, o.name, o.revision, o.key
FROM lineage_node v JOIN lineage_edge e ON v.node_id IN (e.source_id, e.target_id)
JOIN lineage_node o ON o.node_id = CASE v.node_id WHEN e.source_id THEN e.target_id
    ELSE e.source_id END
WHERE v.namespace_id = $3 AND v.key IN {_KEYS} AND o.namespace_id = $3 AND o.version_id IS NULL
ORDER BY o.key ON CONFLICT (namespace_id, key) DO NOTHING"""


def _relink(own: str, other: str) -> str:
    """The statement that does so for links at whose `own` end the model's versions are."""
    return f"""
WITH gone AS (
    DELETE FROM lineage_edge e USING lineage_node v, lineage_node o
    WHERE v.namespace_id = $3 AND v.key IN {_KEYS} AND o.namespace_id = $3 AND o.version_id IS NULL
    AND e.{own} = v.node_id AND e.{other} = o.node_id RETURNING e.*, o.key)
INSERT INTO lineage_edge ({own}, {other}, relation, sealed, reason, actor, created_at)
SELECT g.{own}, n.node_id, g.relation, g.sealed, g.reason, g.actor, g.created_at
FROM gone g JOIN lineage_node n ON n.namespace_id = $2 AND n.key = g.key ON CONFLICT DO NOTHING"""


RELINK_SOURCES = _relink("target_id", "source_id")
RELINK_TARGETS = _relink("source_id", "target_id")
FOLLOW_NODES = f"""
UPDATE lineage_node SET namespace_id = $2 WHERE namespace_id = $3 AND key IN {_KEYS}"""
# What two namespaces call by one name becomes one node for what moves, which may close a ring. Only
# what has something on both sides can be part of one, which is rare.
FIND_RING = f"""
WITH RECURSIVE asked AS (
    SELECT DISTINCT o.node_id, o.name
    FROM lineage_node v JOIN lineage_edge e ON v.node_id IN (e.source_id, e.target_id)
    JOIN lineage_node o ON o.node_id = CASE v.node_id WHEN e.source_id THEN e.target_id
        ELSE e.source_id END
    WHERE v.namespace_id = $2 AND v.key IN {_KEYS} AND o.namespace_id = $2 AND o.version_id IS NULL
    AND EXISTS (SELECT FROM lineage_edge b WHERE b.target_id = o.node_id)
    AND EXISTS (SELECT FROM lineage_edge b WHERE b.source_id = o.node_id)),
reached (start_id, node_id) AS (
    SELECT a.node_id, a.node_id FROM asked a
    UNION
    SELECT r.start_id, e.target_id FROM reached r JOIN lineage_edge e ON e.source_id = r.node_id)
SELECT a.name FROM asked a WHERE EXISTS (
    SELECT FROM reached r JOIN lineage_edge e ON e.source_id = r.node_id
    WHERE r.start_id = a.node_id AND e.target_id = a.node_id)
ORDER BY a.name LIMIT 1"""

_LINKS = (ADD_ORIGINS, RELINK_SOURCES, RELINK_TARGETS, FOLLOW_NODES)
_IN_ORDER = (
    *(FOLLOW_STAGES, FOLLOW_RESULTS, FOLLOW_TRANSITIONS, FOLLOW_VERDICTS, FOLLOW_POLICIES),
    *(FOLLOW_ALIASES, FOLLOW_PROTECTIONS, FOLLOW_FILES, FOLLOW_LABELS, FOLLOW_REPORTED),
    *(FOLLOW_EVALUATED, FOLLOW_PARAMETERS, FOLLOW_DATASETS, FOLLOW_SIGNATURES),
    *(FOLLOW_EVALUATIONS, FOLLOW_PLAN, FOLLOW_DEPLOYMENTS),
)
"""After the versions; what is judged by the place of another follows after it."""
FOLLOWS = frozenset(
    {
        *("model", "version", "version_file", "version_label", "version_metric"),
        *("version_parameter", "version_dataset", "signature", "alias_assignment"),
        *("alias_protection", "stage_assignment", "gate_result", "gate_policy", "transition"),
        *("transition_verdict", "evaluation", "evaluation_plan", "deployment", "lineage_node"),
    }
)
"""Tables whose rows of a model go with it."""
STAYS = {
    "audit_checkpoint": "signs the head of a chain",
    "audit_event": "append-only: what happened in a namespace",
    "blob": "bytes belong to a namespace; they are copied before",
    "blob_facts": "belong to bytes; they are copied",
    "blob_hold": "of the namespace where the blob is; released by the move",
    "environment": "is a namespace's; what ran is told of that of the same name",
    "event_counter": "counts a namespace's events",
    "event_log": "what happened in a namespace",
    "model_name": "an old name goes on to mean the model; the new one is added",
    "namespace": "is where from and where to",
    "namespace_usage": "is counted by triggers",
    "pack": "belongs to a namespace, as the blobs in it",
    "role_binding": "rights in one namespace are none in another: a move is refused",
    "trusted_signer": "is trusted by a namespace",
    "upload": "belongs to a namespace and to no model",
    "webhook": "is told a namespace's events",
}
"""Tables of rows that have a namespace and do not go with a model, and why."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Blobs that the model has and the other namespace has not."""

    blobs: int
    size_bytes: int


async def lock(connection: database.Connection, name: names.ModelName) -> model_rows.Stored:
    """Read a model and keep everybody from it, or raise `errors.NotFound`.

    No draft can be made from here on; versions that are there are locked by `lock_versions`.
    """
    return model_rows.found(await connection.fetchrow(LOCK_MODEL, name.namespace, name.model), name)


async def lock_versions(connection: database.Connection, model_id: int) -> None:
    """Keep everybody from the model's versions."""
    await connection.execute(LOCK_VERSIONS, model_id, timeout=STATEMENT_TIMEOUT_S)


async def hold_namespace(connection: database.Connection, namespace_id: int) -> None:
    """Keep what holds in the whole namespace, and its environments, as they are."""
    await connection.execute(HOLD_NAMESPACE, namespace_id)
    await connection.execute(HOLD_ENVIRONMENTS, namespace_id)


async def is_taken(
    connection: database.Connection, model_id: int, namespace_id: int, name: names.ModelName
) -> bool:
    """Whether the name means another model there."""
    taken: bool = await connection.fetchval(IS_TAKEN, model_id, namespace_id, name.model)
    return taken


async def find_some(
    connection: database.Connection, statement: str, *arguments: object
) -> list[str]:
    """What one of the `FIND_` statements finds, in words."""
    return [row[0] for row in await connection.fetch(statement, *arguments)]


async def find_missing(
    connection: database.Connection, model_id: int, namespace_id: int, *, lock: bool = False
) -> Missing:
    """What is to be copied still; with `lock`, what is there stays until the transaction ends."""
    if lock:
        await connection.execute(LOCK_BLOBS, model_id, namespace_id, timeout=STATEMENT_TIMEOUT_S)
    row = await connection.fetchrow(
        COUNT_MISSING, model_id, namespace_id, timeout=STATEMENT_TIMEOUT_S
    )
    assert row is not None  # noqa: S101 - a count always has a row
    return Missing(row["blobs"], row["size_bytes"])


async def rehome(
    connection: database.Connection,
    stored: model_rows.Stored,
    namespace_id: int,
    new: names.ModelName,
) -> None:
    """Have the model and all its rows follow into a namespace, under a name there.

    Raises `errors.AlreadyExists` if another model has the name or had it.
    """
    old = stored.namespace_id
    timeout = STATEMENT_TIMEOUT_S
    await connection.execute(RENAME, stored.model_id, namespace_id, new.model)
    await model_names.take(connection, stored.model_id, namespace_id, new)
    await connection.execute(COPY_FACTS, stored.model_id, namespace_id, old, timeout=timeout)
    await connection.execute(FOLLOW_VERSION, stored.model_id, namespace_id, timeout=timeout)
    for statement in _IN_ORDER:
        await connection.execute(statement, stored.model_id, namespace_id, timeout=timeout)
    for statement in _LINKS:
        arguments = (stored.model_id, namespace_id, old)
        await connection.execute(statement, *arguments, timeout=timeout)
    await connection.execute(RELEASE, stored.model_id)
