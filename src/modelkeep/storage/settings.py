"""Secrets and settings that all replicas share."""

import secrets

from modelkeep.storage import database

INSERT = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
GET = "SELECT value FROM setting WHERE name = $1"
_SECRET_BYTES = 32


async def get_or_make_secret(connection: database.Connection, name: str) -> bytes:
    """A random secret of 256 bits, made the first time it is asked for."""
    await connection.execute(INSERT, name, secrets.token_bytes(_SECRET_BYTES))
    value: bytes = await connection.fetchval(GET, name)
    return value
