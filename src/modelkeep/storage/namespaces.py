"""Rows of namespaces."""

from collections.abc import Collection

from modelkeep.audit_chain import links
from modelkeep.domain import errors, names, namespaces, pages, pickle_policies
from modelkeep.storage import database

_FIELDS = """description, labels, pickle_policy, stored_bytes_quota, logical_bytes_quota,
open_uploads_quota"""
_COLUMNS = f"namespace_id, name, {_FIELDS}, creator, created_at, updated_at, revision"

INSERT = f"""
INSERT INTO namespace (name, {_FIELDS}, creator) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (name) DO NOTHING RETURNING {_COLUMNS}"""
INSERT_COUNTER = "INSERT INTO event_counter (namespace_id, last_hash) VALUES ($1, $2)"
GET = f"SELECT {_COLUMNS} FROM namespace WHERE name = $1"
LOCK = f"{GET} FOR NO KEY UPDATE"
GET_ID = "SELECT namespace_id FROM namespace WHERE name = $1"
GET_PICKLE_POLICY = "SELECT pickle_policy FROM namespace WHERE namespace_id = $1"
UPDATE = f"""
UPDATE namespace SET ({_FIELDS}) = ($2, $3, $4, $5, $6, $7), updated_at = now(),
revision = revision + 1 WHERE name = $1 RETURNING {_COLUMNS}"""
LIST = f"""
SELECT {_COLUMNS} FROM namespace
WHERE name > $1 AND name <> '{links.REGISTRY}' ORDER BY name LIMIT $2"""
LIST_SOME = f"""
SELECT {_COLUMNS} FROM namespace WHERE name = ANY ($3::text[]) AND name > $1
AND name <> '{links.REGISTRY}' ORDER BY name LIMIT $2"""
EXISTS = "SELECT EXISTS (SELECT FROM namespace WHERE name = $1)"
# What the registry itself owns: nothing but a chain.
INSERT_REGISTRY = f"""
INSERT INTO namespace (name, description, labels, creator)
VALUES ('{links.REGISTRY}', '', '{{}}', 'system') ON CONFLICT (name) DO NOTHING
RETURNING namespace_id"""


async def insert(
    connection: database.Connection,
    name: names.NamespaceName,
    fields: namespaces.NamespaceFields,
    creator: str,
) -> namespaces.Namespace:
    """Insert a namespace and its event counter; raise `errors.AlreadyExists` if it is there."""
    row = await connection.fetchrow(INSERT, name.namespace, *_values(fields), creator)
    if row is None:
        raise errors.AlreadyExists(f"{name} exists already", resource=name)
    await connection.execute(INSERT_COUNTER, row["namespace_id"], links.FIRST_HASH)
    return namespace_from_row(row)


async def get(connection: database.Connection, name: names.NamespaceName) -> namespaces.Namespace:
    """Read a namespace, or raise `errors.NotFound`."""
    return namespace_from_row(_found(await connection.fetchrow(GET, name.namespace), name))


async def exists(connection: database.Connection, namespace: str) -> bool:
    """Whether there is such a namespace."""
    found: bool = await connection.fetchval(EXISTS, namespace)
    return found


async def ensure_registry(connection: database.Connection) -> None:
    """Make the row that owns the registry's own chain, unless it is there."""
    namespace_id = await connection.fetchval(INSERT_REGISTRY)
    if namespace_id is not None:
        await connection.execute(INSERT_COUNTER, namespace_id, links.FIRST_HASH)


async def lock(connection: database.Connection, name: names.NamespaceName) -> namespaces.Namespace:
    """Read a namespace and keep others from changing it, or raise `errors.NotFound`."""
    return namespace_from_row(_found(await connection.fetchrow(LOCK, name.namespace), name))


async def get_id(connection: database.Connection, namespace: str) -> int:
    """The row id of a namespace, or raise `errors.NotFound`."""
    row = await connection.fetchrow(GET_ID, namespace)
    found: int = _found(row, names.NamespaceName(namespace))["namespace_id"]
    return found


async def get_pickle_policy(
    connection: database.Connection, namespace_id: int
) -> pickle_policies.PicklePolicy:
    """What a namespace thinks of pickles."""
    return pickle_policies.PicklePolicy(await connection.fetchval(GET_PICKLE_POLICY, namespace_id))


async def update(
    connection: database.Connection,
    name: names.NamespaceName,
    fields: namespaces.NamespaceFields,
) -> namespaces.Namespace:
    """Replace a namespace's fields."""
    row = await connection.fetchrow(UPDATE, name.namespace, *_values(fields))
    return namespace_from_row(_found(row, name))


async def list_page(
    connection: database.Connection,
    page: pages.PageRequest,
    only: Collection[str] | None = None,
) -> pages.Page[namespaces.Namespace]:
    """A page of namespaces by name: of these, or of all."""
    asked = (page.after, page.size + 1)
    if only is None:
        rows = await connection.fetch(LIST, *asked)
    else:
        rows = await connection.fetch(LIST_SOME, *asked, list(only))
    return pages.page_of([(row["name"], namespace_from_row(row)) for row in rows], page.size)


def namespace_from_row(row: database.Row) -> namespaces.Namespace:
    """The domain value of a row."""
    return namespaces.Namespace(
        name=names.NamespaceName(row["name"]),
        fields=namespaces.NamespaceFields(
            row["description"],
            row["labels"],
            pickle_policies.PicklePolicy(row["pickle_policy"]),
            row["stored_bytes_quota"],
            row["logical_bytes_quota"],
            row["open_uploads_quota"],
        ),
        creator=row["creator"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        etag=str(row["revision"]),
    )


def _values(fields: namespaces.NamespaceFields) -> tuple[object, ...]:
    return (
        fields.description,
        fields.labels,
        fields.pickle_policy,
        fields.stored_bytes_quota,
        fields.logical_bytes_quota,
        fields.open_uploads_quota,
    )


def _found(row: database.Row | None, name: names.NamespaceName) -> database.Row:
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return row
