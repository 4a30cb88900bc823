"""Rows of models."""

from collections.abc import Collection
from dataclasses import dataclass

from modelkeep.domain import errors, models, names, pages, risks
from modelkeep.storage import database

_COLUMNS = """m.model_id, m.namespace_id, n.name AS namespace, m.name, m.kind, m.owner,
m.description, m.labels, m.creator, m.created_at, m.updated_at, m.deleted_at, m.last_ordinal,
m.revision, m.risk_tier, m.revalidation_days"""
_FROM = "model m JOIN namespace n USING (namespace_id)"

INSERT = f"""
WITH m AS (
INSERT INTO model (namespace_id, name, kind, owner, description, labels, creator, risk_tier,
revalidation_days)
SELECT namespace_id, $2, $3, $4, $5, $6, $7, $8, $9 FROM namespace WHERE name = $1
ON CONFLICT (namespace_id, name) DO NOTHING RETURNING *
), named AS (
INSERT INTO model_name (namespace_id, name, model_id) SELECT namespace_id, name, model_id FROM m
) SELECT {_COLUMNS.replace("n.name", "$1::text")} FROM m"""
GET = f"SELECT {_COLUMNS} FROM {_FROM} WHERE n.name = $1 AND m.name = $2"
LOCK = f"{GET} FOR NO KEY UPDATE OF m"
UPDATE = """
UPDATE model SET owner = $2, description = $3, labels = $4, risk_tier = $5,
revalidation_days = $6, updated_at = now(), revision = revision + 1 WHERE model_id = $1"""
SET_DELETED = """
UPDATE model SET deleted_at = CASE WHEN $2 THEN now() END, updated_at = now(),
revision = revision + 1 WHERE model_id = $1"""
HAS_LIVE_VERSION = """
SELECT version FROM version WHERE model_id = $1 AND state NOT IN ('deleted', 'purged')
ORDER BY ordinal LIMIT 1"""
NEXT_ORDINAL = """
UPDATE model m SET last_ordinal = last_ordinal + 1 FROM namespace n
WHERE n.namespace_id = m.namespace_id AND n.name = $1 AND m.name = $2 AND m.deleted_at IS NULL
RETURNING m.model_id, m.namespace_id, m.kind, m.last_ordinal"""
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE m.namespace_id = $1 AND m.name > $2 AND ($4 OR m.deleted_at IS NULL)
ORDER BY m.name LIMIT $3"""
LIST_SOME = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE m.namespace_id = $1 AND m.name = ANY ($5::text[]) AND m.name > $2
AND ($4 OR m.deleted_at IS NULL) ORDER BY m.name LIMIT $3"""

# By all names that they had: grants that were read before a model was renamed say the former one.
FIND_IDS = """
SELECT DISTINCT m.model_id FROM model_name k
JOIN model m ON m.model_id = k.model_id AND m.namespace_id = k.namespace_id
WHERE k.namespace_id = $1 AND k.name = ANY ($2::text[])"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A model with the ids of its row."""

    model_id: int
    namespace_id: int
    model: models.Model


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next version of a model goes."""

    model_id: int
    namespace_id: int
    kind: models.ModelKind
    ordinal: int


async def insert(
    connection: database.Connection,
    name: names.ModelName,
    kind: models.ModelKind,
    fields: models.ModelFields,
    creator: str,
) -> Stored:
    """Insert a model into an existing namespace; raise `errors.AlreadyExists` if it is there."""
    row = await connection.fetchrow(
        INSERT,
        name.namespace,
        name.model,
        kind,
        fields.owner,
        fields.description,
        fields.labels,
        creator,
        fields.risk_tier,
        fields.revalidation_days,
    )
    if row is None:
        raise errors.AlreadyExists(f"{name} exists already, perhaps deleted", resource=name)
    return _stored(row)


async def get(connection: database.Connection, name: names.ModelName) -> Stored:
    """Read a model, deleted or not, or raise `errors.NotFound`."""
    return _stored(_found(await connection.fetchrow(GET, name.namespace, name.model), name))


async def lock(connection: database.Connection, name: names.ModelName) -> Stored:
    """Read a model and keep others from changing it, or raise `errors.NotFound`."""
    return _stored(_found(await connection.fetchrow(LOCK, name.namespace, name.model), name))


async def update(
    connection: database.Connection, model_id: int, fields: models.ModelFields
) -> None:
    """Replace a model's fields."""
    await connection.execute(
        UPDATE,
        model_id,
        fields.owner,
        fields.description,
        fields.labels,
        fields.risk_tier,
        fields.revalidation_days,
    )


async def set_deleted(connection: database.Connection, model_id: int, *, deleted: bool) -> None:
    """Delete a model softly, or bring it back."""
    await connection.execute(SET_DELETED, model_id, deleted)


async def find_live_version(connection: database.Connection, model_id: int) -> str | None:
    """One of the model's versions that is not deleted."""
    found: str | None = await connection.fetchval(HAS_LIVE_VERSION, model_id)
    return found


async def next_ordinal(connection: database.Connection, name: names.ModelName) -> Place:
    """Take the model's next ordinal, holding its counter to the end of the transaction.

    Raises `errors.NotFound` if the model is not there or deleted.
    """
    row = _found(await connection.fetchrow(NEXT_ORDINAL, name.namespace, name.model), name)
    return Place(
        row["model_id"], row["namespace_id"], models.ModelKind(row["kind"]), row["last_ordinal"]
    )


async def list_page(
    connection: database.Connection,
    namespace_id: int,
    page: pages.PageRequest,
    *,
    deleted: bool,
    only: Collection[str] | None = None,
) -> pages.Page[models.Model]:
    """A page of models of a namespace by name: of these, or of all; deleted ones if asked."""
    asked = (namespace_id, page.after, page.size + 1, deleted)
    if only is None:
        rows = await connection.fetch(LIST, *asked)
    else:
        rows = await connection.fetch(LIST_SOME, *asked, list(only))
    return pages.page_of([(row["name"], model_from_row(row)) for row in rows], page.size)


async def find_ids(
    connection: database.Connection, namespace_id: int, only: Collection[str] | None
) -> tuple[int, ...] | None:
    """Row ids of those of the models that are there, by names they have or had.

    None, which stands for all, stays None.
    """
    if only is None:
        return None
    rows = await connection.fetch(FIND_IDS, namespace_id, list(only))
    return tuple(sorted(row["model_id"] for row in rows))


def model_from_row(row: database.Row) -> models.Model:
    """The domain value of a row."""
    return models.Model(
        name=names.ModelName(row["namespace"], row["name"]),
        kind=models.ModelKind(row["kind"]),
        fields=models.ModelFields(
            row["owner"],
            row["description"],
            row["labels"],
            risks.RiskTier(row["risk_tier"]),
            row["revalidation_days"],
        ),
        creator=row["creator"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        last_ordinal=row["last_ordinal"],
        etag=str(row["revision"]),
    )


def found(row: database.Row | None, name: names.ModelName) -> Stored:
    """A model with its ids, if the row is there; or raise `errors.NotFound`."""
    return _stored(_found(row, name))


def _stored(row: database.Row) -> Stored:
    return Stored(row["model_id"], row["namespace_id"], model_from_row(row))


def _found(row: database.Row | None, name: names.ModelName) -> database.Row:
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return row
