"""Rows of gate policies, and of what became of gates at moves."""

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from modelkeep.domain import (
    errors,
    evaluations,
    gate_facts,
    gate_policies,
    gates,
    names,
    pages,
)
from modelkeep.domain.formats import facts
from modelkeep.storage import codec, database
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows

_COLUMNS = """p.policy_id, n.name AS namespace, m.name AS model, p.stage, p.rules, p.actor,
p.created_at, p.updated_at, p.revision"""
_FROM = """gate_policy p JOIN namespace n ON n.namespace_id = p.namespace_id
LEFT JOIN model m ON m.model_id = p.model_id"""

NOW = "SELECT clock_timestamp()"
FIND = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE p.namespace_id = $1 AND p.model_id IS NOT DISTINCT FROM $2 AND p.stage = $3"""
FIND_HOLDING = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE p.namespace_id = $1 AND (p.model_id = $2 OR p.model_id IS NULL) AND p.stage = $3"""
HOLD = f"{FIND_HOLDING} FOR SHARE OF p"
# That no policy is there cannot be locked; who makes one locks what it is of.
HOLD_NAMESPACE = "SELECT FROM namespace WHERE namespace_id = $1 FOR SHARE"
HOLD_GRANTS = """
SELECT FROM role_binding WHERE principal = ANY ($1::text[]) ORDER BY binding_id FOR SHARE"""
INSERT = """
INSERT INTO gate_policy (namespace_id, model_id, stage, rules, actor) VALUES ($1, $2, $3, $4, $5)"""
UPDATE = """
UPDATE gate_policy SET rules = $2, actor = $3, updated_at = now(), revision = revision + 1
WHERE policy_id = $1"""
DELETE = "DELETE FROM gate_policy WHERE policy_id = $1"
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE p.namespace_id = $1 AND ($2::bigint IS NULL OR p.model_id = $2 OR p.model_id IS NULL)
AND coalesce(m.name, '') || '/' || p.stage > $3
ORDER BY coalesce(m.name, '') || '/' || p.stage LIMIT $4"""
# The last of those that anybody would look at; a namespace may have very many.
DIRECTIONS = """
SELECT DISTINCT g.direction FROM (
    SELECT evaluation_id FROM evaluation
    WHERE namespace_id = $1 AND ($2::bigint IS NULL OR model_id = $2) AND dataset_name = $3
    AND ($4 = '' OR suite = $4) AND superseded_at IS NULL ORDER BY evaluation_id DESC LIMIT 200
) e JOIN evaluation_metric g ON g.evaluation_id = e.evaluation_id WHERE g.name = $5"""
OWNER = "SELECT owner FROM model WHERE model_id = $1"
# The one file of a prompt is written by the server, which does not look into what it writes.
PICKLES = """
SELECT found.verdict AS pickle_verdict, count(*) AS file_count, min(found.path) AS path FROM (
    SELECT x.path, coalesce(f.pickle_verdict, CASE m.kind WHEN 'prompt' THEN 'none' END) AS verdict
    FROM version_file x JOIN version v ON v.version_id = x.version_id
    JOIN model m ON m.model_id = v.model_id
    LEFT JOIN blob_facts f ON f.namespace_id = x.namespace_id AND f.digest = x.digest
    WHERE x.version_id = $1
) found GROUP BY found.verdict ORDER BY found.verdict"""
INSERT_RESULTS = """
INSERT INTO gate_result (assignment_id, namespace_id, judged_at, position, gate, passed, sentence,
evidence, policy)
SELECT $1, $2, $3, * FROM unnest($4::int[], $5::json[], $6::bool[], $7::text[], $8::text[],
$9::text[])"""
LIST_RESULTS = """
SELECT r.assignment_id, a.stage, r.gate, r.passed, r.sentence, r.evidence, r.policy, r.judged_at
FROM gate_result r JOIN stage_assignment a ON a.assignment_id = r.assignment_id
WHERE r.assignment_id = ANY($1::bigint[]) ORDER BY r.assignment_id, r.position"""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose policies: ids of a namespace, and of a model in it or None for the namespace itself."""

    namespace_id: int
    model_id: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A policy with the id of its row."""

    policy_id: int
    policy: gate_policies.Policy


@dataclass(frozen=True, slots=True)
class _Gate:
    """Only so that one gate is read as the union that it is."""

    gate: gates.Gate


async def now(connection: database.Connection) -> datetime.datetime:
    """The database's clock: the one by which gates and transitions are judged."""
    instant: datetime.datetime = await connection.fetchval(NOW)
    return instant


async def place_of(connection: database.Connection, owner: names.Resource) -> Place:
    """The ids of a namespace or a model; raises `errors.NotFound`."""
    if isinstance(owner, names.ModelName):
        stored = await model_rows.get(connection, owner)
        return Place(stored.namespace_id, stored.model_id)
    assert isinstance(owner, names.NamespaceName)  # noqa: S101 - a policy is of nothing else
    return Place(await namespace_rows.get_id(connection, owner.namespace), None)


async def lock_place(connection: database.Connection, owner: names.Resource) -> Place:
    """The same, where nobody judges or sets policies until the end of the transaction."""
    if isinstance(owner, names.ModelName):
        stored = await model_rows.lock(connection, owner)
        return Place(stored.namespace_id, stored.model_id)
    assert isinstance(owner, names.NamespaceName)  # noqa: S101 - a policy is of nothing else
    await namespace_rows.lock(connection, owner)
    return await place_of(connection, owner)


async def find(connection: database.Connection, place: Place, stage: str) -> Stored | None:
    """The policy of just this namespace or model before a stage."""
    row = await connection.fetchrow(FIND, place.namespace_id, place.model_id, stage)
    return Stored(row["policy_id"], _policy(row)) if row else None


async def get(connection: database.Connection, place: Place, name: names.GatePolicyName) -> Stored:
    """The policy of that name at its place, or `errors.NotFound`."""
    stored = await find(connection, place, name.stage)
    if stored is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return stored


async def find_effective(
    connection: database.Connection, place: Place, stage: str, *, hold: bool = False
) -> gate_policies.Effective:
    """What holds for a model before a stage.

    Args:
        connection: where.
        place: ids of the model and its namespace.
        stage: before which stage.
        hold: keep others from changing or making policies until the end of the transaction; the
            caller has locked the model.
    """
    if hold:
        await connection.execute(HOLD_NAMESPACE, place.namespace_id)
    statement = HOLD if hold else FIND_HOLDING
    rows = await connection.fetch(statement, place.namespace_id, place.model_id, stage)
    found = {row["model"] is not None: _policy(row) for row in rows}
    return gate_policies.effective(found.get(False), found.get(True))


async def hold_grants(connection: database.Connection, principals: Collection[str]) -> None:
    """Keep what these were given from being taken away until the end of the transaction."""
    await connection.execute(HOLD_GRANTS, list(principals))


async def insert(
    connection: database.Connection, place: Place, stage: str, rules: gate_policies.Rules, by: str
) -> None:
    """Insert a policy that is not there."""
    text = codec.dump(rules)
    await connection.execute(INSERT, place.namespace_id, place.model_id, stage, text, by)


async def update(
    connection: database.Connection, stored: Stored, rules: gate_policies.Rules, by: str
) -> None:
    """Put these rules in place of a policy's."""
    await connection.execute(UPDATE, stored.policy_id, codec.dump(rules), by)


async def delete(connection: database.Connection, stored: Stored) -> None:
    """Delete a policy."""
    await connection.execute(DELETE, stored.policy_id)


async def list_page(
    connection: database.Connection, place: Place, page: pages.PageRequest
) -> pages.Page[gate_policies.Policy]:
    """A page of a namespace's policies and its models', or of those that hold for one model."""
    rows = await connection.fetch(
        LIST, place.namespace_id, place.model_id, page.after, page.size + 1
    )
    keyed = [(f"{row['model'] or ''}/{row['stage']}", _policy(row)) for row in rows]
    return pages.page_of(keyed, page.size)


async def directions(
    connection: database.Connection, place: Place, measured: gates.Measured
) -> set[evaluations.Direction]:
    """Which ways a metric gets better in what was recorded last there."""
    rows = await connection.fetch(
        DIRECTIONS,
        place.namespace_id,
        place.model_id,
        measured.dataset,
        measured.suite,
        measured.metric,
    )
    return {evaluations.Direction(row["direction"]) for row in rows}


async def owner(connection: database.Connection, model_id: int) -> str:
    """Who a model belongs to, or ''."""
    found: str = await connection.fetchval(OWNER, model_id)
    return found


async def pickles(
    connection: database.Connection, version_id: int
) -> tuple[gate_facts.Pickles, ...]:
    """What was found in a version's files."""
    return tuple(
        gate_facts.Pickles(
            facts.PickleVerdict(row["pickle_verdict"]) if row["pickle_verdict"] else None,
            row["file_count"],
            row["path"],
        )
        for row in await connection.fetch(PICKLES, version_id)
    )


async def insert_results(
    connection: database.Connection, namespace_id: int, assignment_id: int, report: gates.Report
) -> None:
    """Keep what became of the gates at a move."""
    found = report.verdicts
    await connection.execute(
        INSERT_RESULTS,
        assignment_id,
        namespace_id,
        report.judged_at,
        list(range(len(found))),
        [codec.dump(one.gate) for one in found],
        [one.passed for one in found],
        [one.sentence for one in found],
        [one.evidence for one in found],
        [one.policy for one in found],
    )


async def list_results(
    connection: database.Connection, assignment_ids: Collection[int]
) -> dict[int, gates.Report]:
    """What became of the gates at these moves, of those that met any."""
    rows = await connection.fetch(LIST_RESULTS, list(assignment_ids))
    verdicts: dict[int, list[database.Row]] = {}
    for row in rows:
        verdicts.setdefault(row["assignment_id"], []).append(row)
    return {
        number: gates.Report(found[0]["stage"], tuple(map(_verdict, found)), found[0]["judged_at"])
        for number, found in verdicts.items()
    }


def _verdict(row: database.Row) -> gates.Verdict:
    gate = codec.load(_Gate, f'{{"gate":{row["gate"]}}}').gate
    return gates.Verdict(gate, row["passed"], row["sentence"], row["evidence"], row["policy"])


def _policy(row: database.Row) -> gate_policies.Policy:
    namespace = names.NamespaceName(row["namespace"])
    owner = names.ModelName(row["namespace"], row["model"]) if row["model"] else namespace
    return gate_policies.Policy(
        name=names.GatePolicyName(owner, row["stage"]),
        rules=codec.load(gate_policies.Rules, row["rules"]),
        actor=row["actor"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        etag=str(row["revision"]),
    )
