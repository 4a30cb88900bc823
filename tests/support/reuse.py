"""Databases and buckets that are emptied after a test and given to the next one.

Making one anew costs a tenth of a second for a database and a fifth for a bucket's first object.
Emptying costs a fraction, and what a test altered beyond rows and objects is never given out again.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
from support import services

from modelkeep.local import postgres

_MOST_USES = 25
"""Of a bucket: the store keeps the room of what was deleted until the whole bucket goes."""

_END_OTHERS = """SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_get_activity(NULL)
WHERE datid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND pid <> pg_backend_pid()"""
_TABLES = """SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY oid"""
# Rows are deleted, as TRUNCATE makes six files for each table, unless that has become a large one.
# Row triggers and keys have no say when everything goes.
_EMPTY = """
DO $$
DECLARE filled regclass;
DECLARE room bigint;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR filled, room IN SELECT oid, pg_relation_size(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND NOT oid::regclass::text = ANY ('{%s}')
    LOOP
        IF room > 262144 THEN
            EXECUTE format('TRUNCATE %%s CASCADE', filled);
        ELSIF room > 0 THEN
            EXECUTE format('DELETE FROM %%s', filled);
        END IF;
    END LOOP;
    PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence
        WHERE pg_sequence_last_value(seqrelid) IS NOT NULL;
END $$"""
# What TRUNCATE writes to is compared by content; of the rest a new row says that it is new.
# Postgres gives oids from 16384 on to what it did not make itself.
_CLASSES = """SELECT md5(string_agg(concat_ws('|', relname, relkind, relowner, relacl, reloptions,
relpersistence, relrowsecurity, relforcerowsecurity, relhastriggers, relhasrules, relchecks,
relnatts, CASE relkind WHEN 'r' THEN reltuples END), ',' ORDER BY oid))
FROM pg_class WHERE oid >= 16384"""
_ITSELF = """SELECT concat_ws('|', datdba, datacl, datallowconn, datconnlimit,
(SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = pg_database.oid))
FROM pg_database WHERE datname = current_database()"""
_ROWS = "SELECT concat_ws('|', count(*), max(xmin::text::bigint)) FROM {} >= 16384"
_OTHERS = (
    *("pg_attrdef WHERE oid", "pg_attribute WHERE attrelid", "pg_constraint WHERE oid"),
    *("pg_default_acl WHERE oid", "pg_event_trigger WHERE oid", "pg_extension WHERE oid"),
    *("pg_index WHERE indexrelid", "pg_namespace WHERE oid", "pg_policy WHERE oid"),
    *("pg_proc WHERE oid", "pg_rewrite WHERE oid", "pg_sequence WHERE seqrelid"),
    *("pg_statistic WHERE starelid", "pg_statistic_ext WHERE oid", "pg_trigger WHERE oid"),
    "pg_type WHERE oid",
)
_CONTENT = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t"


@dataclass(frozen=True, slots=True)
class _Own:
    """A database, and the connection that empties it: a warm one is quick."""

    name: str
    connection: Any


class Databases:
    """Databases with the content of one template; `one` lends them.

    Args:
        server: what they are on.
        template: name of a database that nobody is connected to or changes any more.
    """

    def __init__(self, server: postgres.Postgres, template: str) -> None:
        self._server = server
        self._template = template
        self._emptied: list[_Own] = []
        self._seeded: list[str] = []
        self._pristine = ""

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[str]:
        """URL of a database that is as the template."""
        own = self._emptied.pop() if self._emptied else await self._new()
        try:
            yield services.url_of(self._server, own.name)
        finally:
            if await self._made_pristine(own.connection):
                self._emptied.append(own)
            else:
                await self._drop(own)

    async def close(self) -> None:
        """Drop those that are left."""
        while self._emptied:
            await self._drop(self._emptied.pop())

    async def _new(self) -> _Own:
        if not self._pristine:
            await self._look_at_template()
        name = f"test_{secrets.token_hex(6)}"
        make = f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"'
        await services.execute(self._server.url, make)
        return _Own(name, await asyncpg.connect(services.url_of(self._server, name)))

    async def _drop(self, own: _Own) -> None:
        await own.connection.close()
        await services.execute(self._server.url, f'DROP DATABASE "{own.name}" WITH (FORCE)')

    async def _made_pristine(self, connection: Any) -> bool:
        """Empty it; False if more was changed than rows, or a test ended our connection, too."""
        if connection.is_closed():
            return False
        await connection.execute(_END_OTHERS)
        await connection.execute(_EMPTY % ",".join(self._seeded))
        return await self._looks(connection) == self._pristine

    async def _look_at_template(self) -> None:
        connection = await asyncpg.connect(services.url_of(self._server, self._template))
        try:
            for (table,) in await connection.fetch(_TABLES):
                if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):  # noqa: S608 - of the catalogue
                    self._seeded.append(table)
            self._pristine = await self._looks(connection)
        finally:
            await connection.close()

    async def _looks(self, connection: Any) -> str:
        """A text that is another one wherever anything but the rows of unseeded tables is."""
        asked = [
            _CLASSES,
            _ITSELF,
            *map(_ROWS.format, _OTHERS),
            *map(_CONTENT.format, self._seeded),
        ]
        return await connection.fetchval(f"SELECT concat_ws(';', ({'), ('.join(asked)}))")


class Buckets:
    """Empty buckets of one store; `one` lends them."""

    def __init__(self, s3: services.S3) -> None:
        self._client = s3.client()
        self._uses: dict[str, int] = {}

    @contextlib.contextmanager
    def one(self) -> Iterator[str]:
        """Name of an empty bucket."""
        name, uses = self._uses.popitem() if self._uses else (self._new(), 0)
        try:
            yield name
        finally:
            self._empty(name)
            if uses < _MOST_USES:
                self._uses[name] = uses + 1
            else:
                self._client.remove_bucket(name)

    def close(self) -> None:
        """Remove those that are left."""
        while self._uses:
            self._client.remove_bucket(self._uses.popitem()[0])

    def _new(self) -> str:
        name = f"test-{secrets.token_hex(6)}"
        self._client.make_bucket(name)
        return name

    def _empty(self, name: str) -> None:
        for found in self._client.list_objects(name, recursive=True):
            self._client.remove_object(name, found.object_name)
        for upload in self._client._list_multipart_uploads(name).uploads:
            self._client._abort_multipart_upload(name, upload.object_name, upload.upload_id)
