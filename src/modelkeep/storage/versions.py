"""Rows of versions: reading and writing. `resolving.py` has the look-ups by reference."""

import dataclasses
import datetime
import functools
import operator
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from modelkeep.domain import errors, manifests, names, pages, semver, specs, versions
from modelkeep.storage import codec, database, together
from modelkeep.storage import models as model_rows

HEAD = """v.version_id, v.namespace_id, v.model_id, n.name AS namespace, m.name AS model, v.ordinal,
v.version, v.state, v.stage, v.manifest_digest, v.file_count, v.total_bytes, v.labels,
v.description, v.creator, v.create_client, v.created_at, v.updated_at, v.finalized_at,
v.deleted_at, v.purge_at, v.revision, v.warnings, v.quarantine_reason,
ARRAY(SELECT alias FROM alias_assignment a
      WHERE a.version_id = v.version_id AND a.valid_to IS NULL ORDER BY alias) AS aliases"""
WHOLE = f"{HEAD}, v.content, v.card"
FROM = """version v JOIN model m ON m.model_id = v.model_id
JOIN namespace n ON n.namespace_id = v.namespace_id"""

INSERT = """
WITH inserted AS (
INSERT INTO version (namespace_id, model_id, ordinal, version, semver_key, prerelease, state,
content, base_version_id, labels, description, card, creator, create_client)
VALUES ($1, $2, $3, $4, $5, $6, 'draft', $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (model_id, version) DO NOTHING
RETURNING version_id, created_at, updated_at, revision
), staged AS (
INSERT INTO stage_assignment (namespace_id, model_id, version_id, stage, reason, actor)
SELECT $1, $2, version_id, 'development', 'created', $12 FROM inserted
) SELECT * FROM inserted"""
GET = f"SELECT {WHOLE} FROM {FROM} WHERE n.name = $1 AND m.name = $2 AND v.version = $3"
GET_MANY = together.for_many(GET, ("text", "text", "text"))
GET_BY_ID = f"SELECT {WHOLE} FROM {FROM} WHERE v.version_id = $1"
FIND_ID = f"SELECT v.version_id FROM {FROM} WHERE n.name = $1 AND m.name = $2 AND v.version = $3"
LOCK = f"{FIND_ID} FOR NO KEY UPDATE OF v"
HOLD = f"{FIND_ID} FOR SHARE OF v"
LOCK_BY_ID = "SELECT FROM version WHERE version_id = $1 FOR NO KEY UPDATE"
FIND_DEPENDENT = """
SELECT 'namespaces/' || n.name || '/models/' || m.name || '/versions/' || v.version
FROM version v JOIN model m ON m.model_id = v.model_id
JOIN namespace n ON n.namespace_id = v.namespace_id
WHERE v.base_version_id = $1 AND v.state NOT IN ('deleted', 'purged') LIMIT 1"""
UPDATE_NOTES = """
UPDATE version SET labels = $2, description = $3, card = $4, updated_at = now(),
revision = revision + 1 WHERE version_id = $1"""
UPDATE_CONTENT = """
UPDATE version SET content = $2, base_version_id = $3 WHERE version_id = $1"""
SEAL = """
UPDATE version SET state = 'ready', manifest_digest = $2, file_count = $3, total_bytes = $4,
warnings = $5, finalized_at = now(), updated_at = now(), revision = revision + 1
WHERE version_id = $1"""
DELETE = """
UPDATE version SET state = 'deleted', deleted_from = state, deleted_at = now(),
purge_at = now() + $2::interval, updated_at = now(), revision = revision + 1
WHERE version_id = $1"""
QUARANTINE = """
UPDATE version SET state = 'quarantined', quarantine_reason = $2, updated_at = now(),
revision = revision + 1 WHERE version_id = $1"""
RELEASE = """
UPDATE version SET state = 'ready', quarantine_reason = '', updated_at = now(),
revision = revision + 1 WHERE version_id = $1"""
RESTORE = """
UPDATE version SET state = deleted_from, deleted_from = NULL, deleted_at = NULL, purge_at = NULL,
updated_at = now(), revision = revision + 1 WHERE version_id = $1"""
LIST = f"""
SELECT {HEAD} FROM {FROM}
WHERE v.model_id = $1 AND v.ordinal < $2 AND ($4 OR v.state NOT IN ('deleted', 'purged'))
ORDER BY v.ordinal DESC LIMIT $3"""

_WARNINGS = tuple[versions.VersionWarning, ...]
_BEYOND_LAST = 2**63 - 1
_KEPT_CHARS = 8192
"""Longest content and card that are kept read; what many ask for is far shorter."""
_SCALAR_COLUMNS = (
    *("namespace", "model", "ordinal", "version", "state", "stage", "manifest_digest"),
    *("file_count", "total_bytes", "description", "creator", "create_client", "created_at"),
    *("updated_at", "finalized_at", "deleted_at", "purge_at", "revision", "warnings"),
    *("quarantine_reason", "content", "card"),
)
"""What a version is read from, but for its labels and aliases."""
_SCALARS = operator.itemgetter(*_SCALAR_COLUMNS)


@dataclass(frozen=True, slots=True)
class Stored:
    """A version with the ids of its row."""

    version_id: int
    model_id: int
    namespace_id: int
    version: versions.Version


async def insert(
    connection: database.Connection,
    place: model_rows.Place,
    draft: versions.Version,
    base_version_id: int | None,
) -> versions.Version:
    """Insert a draft and its first stage; raise `errors.AlreadyExists` if the semver is taken."""
    parsed = semver.parse(draft.name.version)
    row = await connection.fetchrow(
        INSERT,
        place.namespace_id,
        place.model_id,
        place.ordinal,
        draft.name.version,
        parsed.key,
        bool(parsed.prerelease),
        codec.dump(draft.content),
        base_version_id,
        draft.notes.labels,
        draft.notes.description,
        draft.notes.card,
        draft.creator,
        draft.create_client,
    )
    if row is None:
        raise errors.AlreadyExists(
            f"{draft.name} exists already, perhaps deleted; choose another version",
            resource=draft.name,
        )
    return dataclasses.replace(
        draft,
        ordinal=place.ordinal,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        etag=str(row["revision"]),
    )


async def get(connection: database.Connection, name: names.VersionName) -> Stored:
    """Read a version, deleted or not, or raise `errors.NotFound`."""
    return _stored(await connection.fetchrow(GET, *_key(name)), name)


async def get_all(
    connection: database.Connection, wanted: Collection[names.VersionName]
) -> dict[names.VersionName, versions.Version]:
    """Versions by their names, deleted or not; those that are not there are left out."""
    asked = list(wanted)
    rows = await connection.fetch(GET_MANY, *zip(*map(_key, asked), strict=True))
    return {asked[row["place"] - 1]: whole_from_row(row) for row in rows}


async def lock(connection: database.Connection, name: names.VersionName) -> Stored:
    """Read a version and keep others from changing or holding it, or raise `errors.NotFound`.

    The row is locked before it is read: a statement that waits for a lock sees the row anew, but
    its sub-queries (the aliases) as they were before the wait.
    """
    await connection.execute(LOCK, *_key(name))
    return await get(connection, name)


async def hold(connection: database.Connection, name: names.VersionName) -> Stored:
    """Read a version and keep others from changing it, or raise `errors.NotFound`."""
    await connection.execute(HOLD, *_key(name))
    return await get(connection, name)


async def lock_by_id(connection: database.Connection, version_id: int) -> Stored:
    """Like `lock`, for a version that is known to exist."""
    await connection.execute(LOCK_BY_ID, version_id)
    return _stored(await connection.fetchrow(GET_BY_ID, version_id), None)


async def find_dependent(connection: database.Connection, version_id: int) -> str:
    """Name of a version that is not deleted and was made from this one, or ''."""
    return await connection.fetchval(FIND_DEPENDENT, version_id) or ""


async def update_notes(
    connection: database.Connection, version_id: int, notes: versions.Notes
) -> None:
    """Replace what may change after sealing."""
    await connection.execute(UPDATE_NOTES, version_id, notes.labels, notes.description, notes.card)


async def update_content(
    connection: database.Connection,
    version_id: int,
    content: specs.Content,
    base_version_id: int | None,
) -> None:
    """Replace a draft's content; the database refuses it for a sealed version."""
    await connection.execute(UPDATE_CONTENT, version_id, codec.dump(content), base_version_id)


async def seal(
    connection: database.Connection,
    version_id: int,
    manifest: manifests.Manifest,
    warnings: tuple[versions.VersionWarning, ...],
) -> None:
    """Make a draft ready; its files must be there."""
    await connection.execute(
        SEAL,
        version_id,
        codec.digest_bytes(manifest.digest),
        len(manifest.files),
        manifest.total_bytes,
        codec.dump(warnings),
    )


async def delete(
    connection: database.Connection, version_id: int, retention: datetime.timedelta | None
) -> None:
    """Delete a version softly, to be purged after so long; None: not unless somebody asks."""
    await connection.execute(DELETE, version_id, retention)


async def quarantine(connection: database.Connection, version_id: int, reason: str) -> None:
    """Set a ready version aside."""
    await connection.execute(QUARANTINE, version_id, reason)


async def release(connection: database.Connection, version_id: int) -> None:
    """Make a quarantined version ready again."""
    await connection.execute(RELEASE, version_id)


async def restore(connection: database.Connection, version_id: int) -> None:
    """Bring a deleted version back into the state it was deleted from."""
    await connection.execute(RESTORE, version_id)


async def list_page(
    connection: database.Connection, model_id: int, page: pages.PageRequest, *, deleted: bool
) -> pages.Page[versions.Version]:
    """A page of a model's versions without content and card, newest ordinal first."""
    after = int(page.after or _BEYOND_LAST)
    rows = await connection.fetch(LIST, model_id, after, page.size + 1, deleted)
    entries = [(str(row["ordinal"]), version_from_row(row, specs.Content())) for row in rows]
    return pages.page_of(entries, page.size)


def version_from_row(
    row: database.Row | Mapping[str, Any], content: specs.Content, card: str = ""
) -> versions.Version:
    """The domain value of a row that has the `HEAD` columns."""
    return versions.Version(
        name=names.VersionName(row["namespace"], row["model"], row["version"]),
        ordinal=row["ordinal"],
        state=versions.VersionState(row["state"]),
        stage=row["stage"],
        manifest_digest=codec.digest_text(row["manifest_digest"]),
        file_count=row["file_count"],
        total_bytes=row["total_bytes"],
        content=content,
        notes=versions.Notes(row["labels"], row["description"], card),
        aliases=tuple(row["aliases"]),
        creator=row["creator"],
        create_client=row["create_client"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        finalized_at=row["finalized_at"],
        deleted_at=row["deleted_at"],
        etag=str(row["revision"]),
        warnings=_warnings(row["warnings"]),
        quarantine_reason=row["quarantine_reason"],
        purge_at=row["purge_at"],
    )


def _warnings(text: str) -> tuple[versions.VersionWarning, ...]:
    return () if text == "[]" else codec.load(_WARNINGS, text)


def whole_from_row(row: database.Row) -> versions.Version:
    """The domain value of a row that has the `WHOLE` columns; whoever shares it leaves it as it is.

    The same row is read once, which halves what a hot look-up costs here. Never stale, because all
    that is read is the key.
    """
    short = len(row["content"]) + len(row["card"]) <= _KEPT_CHARS
    read = _read if short else _read.__wrapped__
    return read(_SCALARS(row), tuple(row["labels"].items()), tuple(row["aliases"]))


@functools.lru_cache(maxsize=512)
def _read(
    scalars: tuple[object, ...], labels: tuple[tuple[str, str], ...], aliases: tuple[str, ...]
) -> versions.Version:
    row: dict[str, Any] = dict(zip(_SCALAR_COLUMNS, scalars, strict=True))
    row |= {"labels": dict(labels), "aliases": aliases}
    return version_from_row(row, codec.load(specs.Content, row["content"]), row["card"])


def _stored(row: database.Row | None, name: names.VersionName | None) -> Stored:
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return Stored(row["version_id"], row["model_id"], row["namespace_id"], whole_from_row(row))


def _key(name: names.VersionName) -> tuple[str, str, str]:
    return name.namespace, name.model, name.version
