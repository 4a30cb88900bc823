"""Rows of trusted signers."""

import datetime

from modelkeep.domain import attestations, errors, names, pages
from modelkeep.storage import database

_SAID = "public_key, identity, issuer, roots, log_key, not_before, not_after, description"
_COLUMNS = """t.name, n.name AS namespace, t.public_key, t.identity, t.issuer, t.roots, t.log_key,
t.not_before, t.not_after, t.description, t.key_id, t.algorithm, t.actor, t.created_at,
t.revoked_at, t.revoked_by, t.revoke_reason, t.distrusted_from"""

INSERT = f"""
INSERT INTO trusted_signer (namespace_id, name, {_SAID}, key_id, algorithm, actor)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (namespace_id, name) DO NOTHING RETURNING created_at"""
COUNT = "SELECT count(*) FROM trusted_signer WHERE namespace_id = $1 AND revoked_at IS NULL"
_FROM = "trusted_signer t JOIN namespace n USING (namespace_id)"
GET = f"SELECT {_COLUMNS} FROM {_FROM} WHERE n.name = $1 AND t.name = $2"
LIST_ALL = f"SELECT {_COLUMNS} FROM {_FROM} WHERE t.namespace_id = $1 ORDER BY t.trusted_signer_id"
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE t.namespace_id = $1 AND t.name > $2 AND ($4 OR t.revoked_at IS NULL)
ORDER BY t.name LIMIT $3"""
REVOKE = """
UPDATE trusted_signer t SET revoked_at = now(), revoked_by = $3, revoke_reason = $4,
distrusted_from = $5 FROM namespace n WHERE n.namespace_id = t.namespace_id
AND n.name = $1 AND t.name = $2 AND t.revoked_at IS NULL"""


async def insert(
    connection: database.Connection, namespace_id: int, signer: attestations.TrustedSigner
) -> datetime.datetime:
    """Insert a signer and tell when; raise `errors.AlreadyExists`, revoked ones included."""
    fields, proof = signer.fields, signer.fields.proof
    created_at: datetime.datetime | None = await connection.fetchval(
        INSERT,
        namespace_id,
        signer.name.signer,
        proof.public_key,
        proof.identity,
        proof.issuer,
        proof.roots,
        proof.log_key,
        fields.not_before,
        fields.not_after,
        fields.description,
        signer.key_id,
        signer.algorithm,
        signer.actor,
    )
    if created_at is None:
        raise errors.AlreadyExists(
            f"{signer.name} exists already, perhaps revoked; choose another name",
            resource=signer.name,
        )
    return created_at


async def count(connection: database.Connection, namespace_id: int) -> int:
    """How many of a namespace are not revoked."""
    number: int = await connection.fetchval(COUNT, namespace_id)
    return number


async def get(
    connection: database.Connection, name: names.TrustedSignerName
) -> attestations.TrustedSigner:
    """Read a signer, revoked or not, or raise `errors.NotFound`."""
    row = await connection.fetchrow(GET, name.namespace, name.signer)
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return _from_row(row)


async def list_all(
    connection: database.Connection, namespace_id: int
) -> list[attestations.TrustedSigner]:
    """All of a namespace, revoked ones too, the oldest first."""
    return [_from_row(row) for row in await connection.fetch(LIST_ALL, namespace_id)]


async def list_page(
    connection: database.Connection, namespace_id: int, page: pages.PageRequest, *, revoked: bool
) -> pages.Page[attestations.TrustedSigner]:
    """A page of a namespace's by name, revoked ones only if asked for."""
    rows = await connection.fetch(LIST, namespace_id, page.after, page.size + 1, revoked)
    return pages.page_of([(row["name"], _from_row(row)) for row in rows], page.size)


async def revoke(
    connection: database.Connection,
    name: names.TrustedSignerName,
    actor: str,
    reason: str,
    distrusted_from: datetime.datetime | None,
) -> bool:
    """Revoke a signer; False if it is not there or revoked already."""
    done = await connection.execute(
        REVOKE, name.namespace, name.signer, actor, reason, distrusted_from
    )
    return done == "UPDATE 1"


def _from_row(row: database.Row) -> attestations.TrustedSigner:
    proof = attestations.Proof(
        row["public_key"], row["identity"], row["issuer"], row["roots"], row["log_key"]
    )
    fields = attestations.TrustFields(
        proof, row["not_before"], row["not_after"], row["description"]
    )
    return attestations.TrustedSigner(
        name=names.TrustedSignerName(row["namespace"], row["name"]),
        fields=fields,
        key_id=row["key_id"],
        algorithm=row["algorithm"],
        actor=row["actor"],
        created_at=row["created_at"],
        revocation=_revocation(row),
    )


def _revocation(row: database.Row) -> attestations.Revocation | None:
    if row["revoked_at"] is None:
        return None
    return attestations.Revocation(
        row["revoked_at"], row["revoked_by"], row["revoke_reason"], row["distrusted_from"]
    )
