"""Rows of API tokens; of a token's text there is only the hash."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelkeep.domain import access, errors, pages
from modelkeep.storage import codec, database

_COLUMNS = """token_id, principal, description, groups, scopes, creator, created_at, expires_at,
last_used_at, revoked_at"""
INSERT = f"""
INSERT INTO api_token (token_id, secret_sha256, principal, description, groups, scopes, expires_at,
creator) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {_COLUMNS}"""
FIND = f"SELECT {_COLUMNS}, secret_sha256 FROM api_token WHERE token_id = $1"
LOCK = f"{FIND} FOR NO KEY UPDATE"
LIST = f"""
SELECT {_COLUMNS} FROM api_token
WHERE ($1 = '' OR principal = $1) AND token_id > $2 ORDER BY token_id LIMIT $3"""
COUNT = """
SELECT count(*) FROM api_token
WHERE principal = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"""
REVOKE = f"""
UPDATE api_token SET revoked_at = coalesce(revoked_at, now()) WHERE token_id = $1
RETURNING {_COLUMNS}"""
LOCK_ALL = """
SELECT FROM api_token WHERE token_id = ANY($1::text[]) ORDER BY token_id FOR NO KEY UPDATE"""
NOTE_USE = """
UPDATE api_token t SET last_used_at = u.used_at
FROM unnest($1::text[], $2::timestamptz[]) AS u (token_id, used_at)
WHERE t.token_id = u.token_id AND (t.last_used_at IS NULL OR t.last_used_at < u.used_at)"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A token with the hash of its text."""

    token: access.Token
    sha256: bytes = field(repr=False)


async def insert(
    connection: database.Connection,
    secret: access.Secret,
    fields: access.TokenFields,
    creator: str,
) -> access.Token:
    """Insert a token."""
    row = await connection.fetchrow(
        INSERT,
        secret.token_id,
        secret.sha256,
        fields.principal,
        fields.description,
        list(fields.groups),
        codec.plain(fields.scopes),
        fields.expires_at,
        creator,
    )
    assert row is not None  # noqa: S101 - RETURNING returns what was inserted
    return token_from_row(row)


async def find(connection: database.Connection, token_id: str) -> Stored | None:
    """A token, revoked or not."""
    row = await connection.fetchrow(FIND, token_id)
    return None if row is None else Stored(token_from_row(row), row["secret_sha256"])


async def lock(connection: database.Connection, name: access.TokenName) -> access.Token:
    """Read a token and keep others from revoking it, or raise `errors.NotFound`."""
    row = await connection.fetchrow(LOCK, name.token)
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return token_from_row(row)


async def list_page(
    connection: database.Connection, principal: str, page: pages.PageRequest
) -> pages.Page[access.Token]:
    """A page of a principal's tokens, or of all ('')."""
    rows = await connection.fetch(LIST, principal, page.after, page.size + 1)
    return pages.page_of([(row["token_id"], token_from_row(row)) for row in rows], page.size)


async def count(connection: database.Connection, principal: str) -> int:
    """How many tokens of a principal work."""
    number: int = await connection.fetchval(COUNT, principal)
    return number


async def revoke(connection: database.Connection, name: access.TokenName) -> access.Token:
    """End a token that is there; when it was first revoked stays."""
    row = await connection.fetchrow(REVOKE, name.token)
    assert row is not None  # noqa: S101 - the caller has locked it
    return token_from_row(row)


async def note_use(connection: database.Connection, used: Mapping[str, datetime.datetime]) -> None:
    """Note when tokens were used last."""
    async with connection.transaction():
        await connection.execute(LOCK_ALL, list(used))
        await connection.execute(NOTE_USE, list(used), list(used.values()))


def token_from_row(row: database.Row) -> access.Token:
    """The domain value of a row."""
    fields = access.TokenFields(
        row["principal"],
        row["description"],
        tuple(row["groups"]),
        tuple(_grant(scope) for scope in row["scopes"]),
        row["expires_at"],
    )
    return access.Token(
        access.TokenName(row["token_id"]),
        fields,
        row["creator"],
        row["created_at"],
        row["last_used_at"],
        row["revoked_at"],
    )


def _grant(stored: Mapping[str, str]) -> access.Grant:
    return access.Grant(**{**stored, "role": access.Role(stored["role"])})  # type: ignore[arg-type]
