"""Forward-only, numbered SQL migrations, run one at a time under an advisory lock."""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

import asyncpg

from modelkeep.domain import errors
from modelkeep.storage import database

_LOCK = 0x6D6F64656C6B6570
"""Any constant of our own; 'modelkep' in ASCII."""
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_CREATE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
_IS_THERE = "SELECT to_regclass('schema_migration') IS NOT NULL"
_APPLIED = "SELECT number, name, sha256 FROM schema_migration ORDER BY number"
_RECORD = "INSERT INTO schema_migration (number, name, sha256) VALUES ($1, $2, $3)"
# What the server may do is granted anew where it got lost: roles are not in a dump of a database.
_SECURE = "SELECT secure_rows()"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name and text."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Digest of the text, to notice a file that was edited after it ran somewhere."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available() -> list[Migration]:
    """The migrations of this build, in order."""
    files = (file for file in resources.files(__name__).iterdir() if _FILE.fullmatch(file.name))
    return sorted(
        (Migration(int(file.name[:4]), file.name[:-4], file.read_text("utf-8")) for file in files),
        key=lambda migration: migration.number,
    )


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing and return the names applied.

    Safe to run from several places at once. Raises `errors.FailedPrecondition` if the database was
    migrated by a newer build, or a migration that ran there differs from ours.
    """
    connection = await database.connect(database_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_CREATE)
        done = {row["number"]: row["sha256"] for row in await connection.fetch(_APPLIED)}
        _refuse_foreign(done)
        missing = [migration for migration in available() if migration.number not in done]
        for migration in missing:
            await _apply(connection, migration)
        await _secure(connection)
        return [migration.name for migration in missing]
    finally:
        await connection.close()


async def require_current(database_url: str) -> None:
    """Raise `errors.FailedPrecondition` unless `migrate` would find nothing to do."""
    connection = await database.connect(database_url)
    try:
        made = await connection.fetchval(_IS_THERE)
        rows = await connection.fetch(_APPLIED) if made else []
        done = {row["number"]: row["sha256"] for row in rows}
    finally:
        await connection.close()
    _refuse_foreign(done)
    missing = [migration.name for migration in available() if migration.number not in done]
    if missing:
        raise errors.FailedPrecondition(
            f"the database lacks {', '.join(missing)}: run `modelkeep migrate` first, "
            "or `modelkeep serve --migrate`"
        )


async def _secure(connection: database.SingleConnection) -> None:
    """Put up the wall of migration 0025 in front of tables that are new, too."""
    try:
        await connection.execute(_SECURE)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _may_not(error) from error


async def _apply(connection: database.SingleConnection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(_RECORD, migration.number, migration.name, migration.sha256)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _may_not(error) from error


def _may_not(error: asyncpg.InsufficientPrivilegeError) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(str(error).replace("\nHINT: ", ";"))


def _refuse_foreign(done: dict[int, str]) -> None:
    ours = {migration.number: migration for migration in available()}
    for number, sha256 in done.items():
        if number not in ours:
            raise errors.FailedPrecondition(
                f"the database has migration {number}, which this build does not know: "
                "run the newer build of modelkeep"
            )
        if ours[number].sha256 != sha256:
            raise errors.FailedPrecondition(
                f"migration {ours[number].name} differs from the one the database ran: "
                "migrations are never edited; restore the file and add a new one"
            )
