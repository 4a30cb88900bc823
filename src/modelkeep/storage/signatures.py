"""Rows of signatures over versions."""

import hashlib
from dataclasses import dataclass

from modelkeep.domain import attestations, errors, names, pages
from modelkeep.storage import codec, database
from modelkeep.storage import versions as version_rows

_COLUMNS = """s.signature_id, s.key, s.kind, s.key_hint, s.identities, s.issuer, s.digest,
length(s.bundle) AS size_bytes, s.actor, s.created_at"""

INSERT = f"""
INSERT INTO signature AS s (key, namespace_id, version_id, bundle, digest, kind, key_hint,
identities, issuer, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (version_id, digest) DO NOTHING RETURNING {_COLUMNS}"""
COUNT = "SELECT count(*) FROM signature WHERE version_id = $1"
GET = f"""
SELECT {_COLUMNS}, s.bundle FROM signature s WHERE s.version_id = $1 AND s.key = $2"""
LIST = f"""
SELECT {_COLUMNS}, s.bundle FROM signature s WHERE s.version_id = $1 AND s.signature_id > $2
ORDER BY s.signature_id LIMIT $3"""

_ALL = 2**31


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be kept of a signature; its bundle has been looked through."""

    key: str
    bundle: bytes
    kind: attestations.SignerKind
    key_hint: str
    identities: tuple[str, ...]
    issuer: str
    actor: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A signature with its bundle."""

    signature: attestations.Signature
    bundle: bytes


async def insert(
    connection: database.Connection, version: version_rows.Stored, draft: Draft
) -> attestations.Signature:
    """Insert a signature; raise `errors.AlreadyExists` if the version has that very bundle."""
    row = await connection.fetchrow(
        INSERT,
        draft.key,
        version.namespace_id,
        version.version_id,
        draft.bundle,
        hashlib.sha256(draft.bundle).digest(),
        draft.kind,
        draft.key_hint,
        list(draft.identities),
        draft.issuer,
        draft.actor,
    )
    if row is None:
        raise errors.AlreadyExists(
            f"{version.version.name} has that signature already", reason="SIGNATURE_EXISTS"
        )
    return _from_row(version.version.name, row)


async def count(connection: database.Connection, version_id: int) -> int:
    """How many a version has."""
    number: int = await connection.fetchval(COUNT, version_id)
    return number


async def get(connection: database.Connection, version: version_rows.Stored, key: str) -> Stored:
    """Read one of a version with its bundle, or raise `errors.NotFound`."""
    row = await connection.fetchrow(GET, version.version_id, key)
    if row is None:
        name = names.SignatureName(version.version.name, key)
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return Stored(_from_row(version.version.name, row), row["bundle"])


async def list_all(
    connection: database.Connection, version: version_rows.Stored
) -> tuple[Stored, ...]:
    """All of a version with their bundles, the first attached first."""
    rows = await connection.fetch(LIST, version.version_id, 0, _ALL)
    return tuple(Stored(_from_row(version.version.name, row), row["bundle"]) for row in rows)


async def list_page(
    connection: database.Connection, version: version_rows.Stored, page: pages.PageRequest
) -> pages.Page[Stored]:
    """A page of a version's with their bundles, the first attached first."""
    rows = await connection.fetch(LIST, version.version_id, int(page.after or 0), page.size + 1)
    entries = [
        (str(row["signature_id"]), Stored(_from_row(version.version.name, row), row["bundle"]))
        for row in rows
    ]
    return pages.page_of(entries, page.size)


def _from_row(version: names.VersionName, row: database.Row) -> attestations.Signature:
    return attestations.Signature(
        name=names.SignatureName(version, row["key"]),
        kind=attestations.SignerKind(row["kind"]),
        key_hint=row["key_hint"],
        identities=tuple(row["identities"]),
        issuer=row["issuer"],
        digest=codec.digest_text(row["digest"]),
        size_bytes=row["size_bytes"],
        actor=row["actor"],
        created_at=row["created_at"],
    )
