"""Rows of deployments: what runs where, and what ran."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import deployments, errors, names, pages
from modelkeep.storage import database, environments
from modelkeep.storage import versions as version_rows

_BEYOND_LAST = 2**63 - 1

_COLUMNS = """d.deployment_id, d.version_id, d.environment_id, d.key, n.name AS namespace,
m.name AS model, v.version, e.name AS environment, d.outcome, d.target, d.labels, d.actor,
d.started_at, d.ended_at, d.ended_by, d.end_reason, d.stage, d.reason, d.created_at,
(SELECT r.key FROM deployment r WHERE r.deployment_id = d.rollback_of_id) AS rollback_of"""
_FROM = """deployment d JOIN version v ON v.version_id = d.version_id
JOIN model m ON m.model_id = d.model_id JOIN namespace n ON n.namespace_id = d.namespace_id
JOIN environment e ON e.environment_id = d.environment_id"""
_SELECT = f"SELECT {_COLUMNS} FROM {_FROM}"
_THERE = "d.model_id = $1 AND d.environment_id = $2"
_LAST_FIRST = "ORDER BY d.started_at DESC, d.deployment_id DESC"

NOW = "SELECT clock_timestamp()"
INSERT = """
INSERT INTO deployment (key, namespace_id, model_id, version_id, environment_id, stage, target,
labels, reason, actor, started_at, rollback_of_id, exclusive)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
END = """
UPDATE deployment SET ended_at = $2, outcome = $3, end_reason = $4, ended_by = $5
WHERE deployment_id = $1 AND ended_at IS NULL"""
CLOSE_PLACE = """
UPDATE deployment SET exclusive = true
WHERE environment_id = $1 AND ended_at IS NULL AND NOT exclusive"""
GET = f"{_SELECT} WHERE n.name = $1 AND m.name = $2 AND d.key = $3"
LIST_RUNNING = f"{_SELECT} WHERE {_THERE} AND d.ended_at IS NULL {_LAST_FIRST}"
LIST_RUNNING_OF = f"""
{_SELECT} WHERE d.version_id = $1 AND d.ended_at IS NULL {_LAST_FIRST}"""
FIND_LAST_EXCLUSIVE = f"""
{_SELECT} WHERE {_THERE} AND d.exclusive AND d.ended_at IS NOT NULL
ORDER BY d.ended_at DESC LIMIT 1"""
FIND_LAST = f"{_SELECT} WHERE {_THERE} {_LAST_FIRST} LIMIT 1"
FIND_LAST_OF = f"{_SELECT} WHERE {_THERE} AND v.version = $3 {_LAST_FIRST} LIMIT 1"
# Of each version its last deployment there: what came of it is what is known of the version.
FIND_GOOD = f"""
{_SELECT} JOIN (
    SELECT DISTINCT ON (l.version_id) l.deployment_id FROM deployment l
    WHERE l.model_id = $1 AND l.environment_id = $2
    ORDER BY l.version_id, l.started_at DESC, l.deployment_id DESC
) last ON last.deployment_id = d.deployment_id
WHERE d.version_id <> $3 AND v.state = 'ready'
AND coalesce(d.outcome, '') NOT IN ('failed', 'rolled_back') {_LAST_FIRST} LIMIT 1"""
FIND_CROWD = """
SELECT m.name FROM deployment d JOIN model m ON m.model_id = d.model_id
WHERE d.environment_id = $1 AND d.ended_at IS NULL
GROUP BY m.name HAVING count(*) > 1 ORDER BY m.name LIMIT 1"""
LIST = f"""
{_SELECT} WHERE d.namespace_id = $1 AND d.deployment_id < $2 AND ($4::bigint IS NULL
OR d.model_id = $4) AND ($5::bigint IS NULL OR d.environment_id = $5)
AND ($6 = '' OR v.version = $6) AND (NOT $7 OR d.ended_at IS NULL)
AND ($8::text IS NULL OR d.outcome = $8) AND ($9 = '' OR d.actor = $9)
ORDER BY d.deployment_id DESC LIMIT $3"""
LIST_SOME = LIST.replace("OR d.model_id = $4)", "OR d.model_id = $4) AND d.model_id = ANY ($10)")
LIST_HISTORY = f"""
{_SELECT} WHERE d.model_id = $1 AND ($2::bigint IS NULL OR d.environment_id = $2)
AND ($3::timestamptz IS NULL OR (d.started_at <= $3 AND (d.ended_at > $3 OR d.ended_at IS NULL)))
AND ($4 = 0 OR (d.started_at, d.deployment_id) <
    (SELECT a.started_at, a.deployment_id FROM deployment a WHERE a.deployment_id = $4))
{_LAST_FIRST} LIMIT $5"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A deployment with the ids of its rows."""

    deployment_id: int
    version_id: int
    environment_id: int
    deployment: deployments.Deployment


@dataclass(frozen=True, slots=True)
class Place:
    """A model in an environment, both known to the transaction."""

    model_id: int
    environment: environments.Stored


@dataclass(frozen=True, slots=True)
class Within:
    """Ids of what a list is limited to; None stands for all."""

    namespace_id: int
    model_id: int | None
    environment_id: int | None
    among: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be inserted, and when it began; `rollback_of` is what it takes back."""

    key: str
    version: version_rows.Stored
    place: Place
    draft: deployments.Draft
    started_at: datetime.datetime
    actor: str
    rollback_of: Stored | None = None


async def now(connection: database.Connection) -> datetime.datetime:
    """What time it is: the database's clock, because several servers write."""
    instant: datetime.datetime = await connection.fetchval(NOW)
    return instant


async def insert(connection: database.Connection, entry: Entry) -> Stored:
    """Insert a deployment that runs; what it supersedes must have ended before."""
    version = entry.version
    await connection.execute(
        INSERT,
        entry.key,
        version.namespace_id,
        version.model_id,
        version.version_id,
        entry.place.environment.environment_id,
        version.version.stage,
        entry.draft.target,
        entry.draft.labels,
        entry.draft.reason,
        entry.actor,
        entry.started_at,
        entry.rollback_of.deployment_id if entry.rollback_of else None,
        not entry.place.environment.environment.fields.allow_several,
    )
    return await get(connection, names.DeploymentName(version.version.name.parent, entry.key))


async def end(
    connection: database.Connection, stored: Stored, ending: deployments.Ending, actor: str
) -> Stored:
    """Note that a deployment has ended; the model must be locked, and the instant be known."""
    await connection.execute(
        END, stored.deployment_id, ending.ended_at, ending.outcome, ending.reason, actor
    )
    return await get(connection, stored.deployment.name)


async def close_place(connection: database.Connection, environment_id: int) -> None:
    """Let nothing else run beside what runs in an environment; nothing may do so now."""
    await connection.execute(CLOSE_PLACE, environment_id)


async def get(connection: database.Connection, name: names.DeploymentName) -> Stored:
    """Read a deployment, or raise `errors.NotFound`."""
    row = await connection.fetchrow(GET, name.namespace, name.model, name.deployment)
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return _stored(row)


async def find_active(connection: database.Connection, version_id: int) -> list[Stored]:
    """Where a version runs, the last begun first."""
    return [_stored(row) for row in await connection.fetch(LIST_RUNNING_OF, version_id)]


async def list_running(connection: database.Connection, place: Place) -> list[Stored]:
    """What of a model runs in an environment, the last begun first."""
    return [_stored(row) for row in await connection.fetch(LIST_RUNNING, *_key(place))]


async def find_last_exclusive(connection: database.Connection, place: Place) -> Stored | None:
    """What had the place to itself, of that what ended last."""
    return _maybe(await connection.fetchrow(FIND_LAST_EXCLUSIVE, *_key(place)))


async def find_last(
    connection: database.Connection, place: Place, version: str = ""
) -> Stored | None:
    """The last begun deployment there: of the model, or of one version of it."""
    if version:
        return _maybe(await connection.fetchrow(FIND_LAST_OF, *_key(place), version))
    return _maybe(await connection.fetchrow(FIND_LAST, *_key(place)))


async def find_good(connection: database.Connection, place: Place, but: int) -> Stored | None:
    """The last deployment there of the last known good version.

    Args:
        connection: of the transaction.
        place: where.
        but: id of the version that is not to be it.
    """
    return _maybe(await connection.fetchrow(FIND_GOOD, *_key(place), but))


async def find_crowd(connection: database.Connection, environment_id: int) -> str | None:
    """Id of a model of which several deployments run in an environment."""
    found: str | None = await connection.fetchval(FIND_CROWD, environment_id)
    return found


async def list_page(
    connection: database.Connection,
    within: Within,
    wanted: deployments.Filter,
    page: pages.PageRequest,
) -> pages.Page[deployments.Deployment]:
    """A page of deployments, the last recorded first."""
    asked = (
        within.namespace_id,
        int(page.after or _BEYOND_LAST),
        page.size + 1,
        within.model_id,
        within.environment_id,
        wanted.version,
        wanted.running,
        wanted.outcome,
        wanted.deployer,
    )
    if within.among is None:
        rows = await connection.fetch(LIST, *asked)
    else:
        rows = await connection.fetch(LIST_SOME, *asked, within.among)
    return _page(rows, page)


async def list_history(
    connection: database.Connection,
    model_id: int,
    environment_id: int | None,
    as_of: datetime.datetime | None,
    page: pages.PageRequest,
) -> pages.Page[deployments.Deployment]:
    """A page of what of a model ran, at an instant or ever, the last begun first."""
    rows = await connection.fetch(
        LIST_HISTORY, model_id, environment_id, as_of, int(page.after or 0), page.size + 1
    )
    return _page(rows, page)


def _page(
    rows: Sequence[database.Row], page: pages.PageRequest
) -> pages.Page[deployments.Deployment]:
    return pages.page_of(
        [(str(row["deployment_id"]), _stored(row).deployment) for row in rows], page.size
    )


def _key(place: Place) -> tuple[int, int]:
    return place.model_id, place.environment.environment_id


def _maybe(row: database.Row | None) -> Stored | None:
    return None if row is None else _stored(row)


def _stored(row: database.Row) -> Stored:
    model = names.ModelName(row["namespace"], row["model"])
    rollback_of = row["rollback_of"]
    deployment = deployments.Deployment(
        name=names.DeploymentName(model, row["key"]),
        version=names.VersionName(row["namespace"], row["model"], row["version"]),
        environment=names.EnvironmentName(row["namespace"], row["environment"]),
        outcome=deployments.Outcome(row["outcome"]) if row["outcome"] else None,
        target=row["target"],
        labels=row["labels"],
        deployer=row["actor"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        ended_by=row["ended_by"] or "",
        end_reason=row["end_reason"] or "",
        stage=row["stage"],
        reason=row["reason"],
        rollback_of=names.DeploymentName(model, rollback_of) if rollback_of else None,
        created_at=row["created_at"],
    )
    return Stored(row["deployment_id"], row["version_id"], row["environment_id"], deployment)
