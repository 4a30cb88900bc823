"""The second wall: what a statement of ours forgets or gets wrong, Postgres neither shows nor does.

Every table is looked for in the catalogue, so one that is new is tested too, and one that says
nothing of whose its rows are must be listed here with the reason.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from support import services

from modelkeep.domain import errors, names, sight
from modelkeep.local import postgres as embedded
from modelkeep.storage import database, migrations, namespaces, versions

OPEN = {
    "schema_migration": "what was done to the schema",
    "setting": "secrets that all replicas share",
    "idempotency_key": "answers to a principal, found by who asked",
    "api_token": "what a principal shows, looked at before anything can be permitted",
}
"""Tables whose rows are of no namespace, and what they are of."""
APPEND_ONLY = {"audit_event", "audit_checkpoint", "evaluation_metric", "setting"}
MINE, OTHER = 101, 102
_TABLES = """
SELECT c.relname AS name, c.relkind = 'v' AS is_view, c.relrowsecurity AS secured,
    (SELECT array_agg(pg_get_expr(p.polqual, p.polrelid) || coalesce(p.polwithcheck::text, '')
        || p.polcmd::text || p.polroles::text)
     FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
ORDER BY 1"""
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type,
    a.attnotnull OR a.attname = 'namespace_id' AS needed,
    a.attidentity <> '' AS numbered, a.attgenerated <> '' AS generated
FROM pg_attribute a WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped"""
_CHECKS = """
SELECT conrelid::regclass::text AS of_table, conname AS name FROM pg_constraint
WHERE contype = 'c' AND conrelid <> 0 AND connamespace = 'public'::regnamespace"""


def value_of(kind: str, row: int) -> str:
    """A literal of that type which only the rows of one namespace have."""
    values = {
        "bytea": f"'\\x{hashlib.sha256(str(row).encode()).hexdigest()}'",
        "boolean": "false",
        "json": "'{}'",
        "jsonb": "'{}'",
        "timestamp with time zone": "now()",
    }
    if kind.endswith("[]"):
        return "'{}'"
    return values.get(kind, f"'{row}'")


async def fill(connection: Any, table: str, row: int) -> str:
    """An INSERT of one row of the namespace of that number."""
    columns = [
        one for one in await connection.fetch(_COLUMNS, table) if one["needed"] or one["numbered"]
    ]
    chosen = [one for one in columns if not one["generated"]]
    names_of = ", ".join(one["name"] for one in chosen)
    values = ", ".join(value_of(one["type"], row) for one in chosen)
    return f"INSERT INTO {table} ({names_of}) OVERRIDING SYSTEM VALUE VALUES ({values})"  # noqa: S608 - of the catalogue


@pytest.fixture(scope="module")
async def two_url(postgres: embedded.Postgres, _template: str) -> AsyncIterator[str]:
    """A database in which two namespaces have a row in every table, whatever its constraints."""
    async with services.database(postgres, _template) as url:
        connection = await asyncpg.connect(url)
        await connection.execute("SET session_replication_role = replica")  # no triggers, no keys
        for check in await connection.fetch(_CHECKS):
            drop = f'ALTER TABLE {check["of_table"]} DROP CONSTRAINT "{check["name"]}"'
            await connection.execute(drop)
        for table in await connection.fetch(_TABLES):
            if table["secured"]:
                for row in (MINE, OTHER):
                    await connection.execute(await fill(connection, table["name"], row))
        await connection.close()
        yield url


async def acting(url: str, *shown: int) -> Any:
    """A connection as the server has them that shows these namespaces; no triggers hinder it."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("SELECT set_config('role', server_role(), false)")
    told = [str(one) for one in shown]
    await connection.fetchval("SELECT show_namespaces($1::text[], false)", told)
    return connection


async def tables(url: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(_TABLES))
    finally:
        await connection.close()


async def test_every_table_is_walled_or_listed_as_open(database_url: str) -> None:
    found = await tables(database_url)
    unwalled = {one["name"] for one in found if not one["secured"] and not one["is_view"]}
    assert unwalled == OPEN.keys()
    walled = [one for one in found if one["secured"]]
    assert len(walled) >= 30
    for one in walled:
        (policy,) = one["policies"]
        assert policy.endswith("*{0}"), f"{one['name']}: for all commands, of all roles"
        assert "modelkeep.sees_everything" in policy, one["name"]


async def test_with_another_namespace_nothing_is_seen(two_url: str) -> None:
    counts = {}
    for shown in ((), (MINE,), (MINE, OTHER)):
        connection = await acting(two_url, *shown)
        for table in await tables(two_url):
            if table["name"] not in OPEN:
                statement = f"SELECT count(*) FROM {table['name']}"  # noqa: S608 - of the catalogue
                counts[table["name"], len(shown)] = await connection.fetchval(statement)
        await connection.close()
    assert {key: count for key, count in counts.items() if count != key[1]} == {}


async def test_with_another_namespace_nothing_is_changed(two_url: str) -> None:
    """Statements without any condition, which is the worst that can be forgotten."""
    connection = await acting(two_url, MINE)
    for table in [one["name"] for one in await tables(two_url) if one["secured"]]:
        columns = await connection.fetch(_COLUMNS, table)
        column = next(one["name"] for one in columns if not one["numbered"])
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):  # noqa: S608 - of the catalogue
            transaction = connection.transaction()
            await transaction.start()
            if table in APPEND_ONLY:
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="denied"):
                    await connection.execute(statement)
            else:
                assert (await connection.execute(statement)).endswith(" 1"), table
            await transaction.rollback()
    await connection.close()


async def test_with_another_namespace_nothing_is_added(two_url: str) -> None:
    """A row that another namespace has is as good as any: the wall stands before the keys."""
    connection = await acting(two_url, MINE)
    for table in [one["name"] for one in await tables(two_url) if one["secured"]]:
        statement = await fill(connection, table, OTHER)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(statement)
    await connection.close()


async def test_a_row_cannot_be_moved_to_another_namespace(two_url: str) -> None:
    connection = await acting(two_url, MINE)
    for table in ("model", "version", "blob", "upload", "webhook"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(f"UPDATE {table} SET namespace_id = {OTHER}")  # noqa: S608
    await connection.close()


FORBIDDEN = [
    "ALTER TABLE version DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE version DISABLE TRIGGER version_sealed",
    "DROP TRIGGER audit_append_only ON audit_event",
    "DROP POLICY seen ON version",
    "CREATE POLICY mine ON version USING (true)",
    "ALTER TABLE version ADD COLUMN mine text",
    "DROP TABLE audit_event",
    "TRUNCATE audit_event",
    "TRUNCATE event_log",
    "UPDATE audit_event SET actor = 'x'",
    "DELETE FROM audit_event",
    "UPDATE audit_checkpoint SET seq = 1",
    "DELETE FROM audit_checkpoint",
    "DELETE FROM schema_migration",
    "UPDATE setting SET value = ''",
    "CREATE OR REPLACE FUNCTION seen_namespaces() RETURNS text[] LANGUAGE sql AS 'SELECT NULL'",
    "ALTER FUNCTION seen_namespaces() IMMUTABLE",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "SET session_replication_role = replica",
    "CREATE TABLE mine (x int)",
]


async def test_the_servers_role_can_do_no_harm(database_url: str) -> None:
    connection = await services.as_server(database_url, "acme")
    done = []
    for statement in FORBIDDEN:
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        done.append(statement)
    role = await connection.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb FROM pg_roles "
        "WHERE rolname = current_user"
    )
    owned = await connection.fetchval(
        "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = current_user"
    )
    await connection.close()
    assert done == []
    assert (set(role.values()), owned) == ({False}, 0)


SLIP = """
INSERT INTO version_file (version_id, namespace_id, path, digest, size_bytes, media_type)
SELECT version_id, $1, 'slipped', sha256('x'), 1, 'x' FROM unnest($2::bigint[]) v (version_id)"""


async def test_no_file_slips_into_a_sealed_version_that_is_not_seen(database_url: str) -> None:
    """The row would be of the namespace that is seen; the version is not. Its seal holds anyhow."""
    owner = await asyncpg.connect(database_url)
    await owner.execute(TWO)
    sealed = await owner.fetchval("SELECT version_id FROM version WHERE namespace_id = 2")
    await owner.close()
    connection = await services.as_server(database_url, "acme")
    assert await connection.fetchval("SELECT count(*) FROM version") == 1
    with pytest.raises(asyncpg.CheckViolationError, match="sealed"):
        await connection.execute(SLIP, 1, [sealed])
    await connection.close()


TWO = """
INSERT INTO namespace (name, description, labels, creator)
SELECT name, '', '{}', 'x' FROM unnest('{acme,other}'::text[]) name;
INSERT INTO event_counter (namespace_id, last_hash) SELECT namespace_id, sha256('') FROM namespace;
INSERT INTO model (namespace_id, name, kind, owner, description, labels, creator)
SELECT namespace_id, 'm', 'model', '', '', '{}', 'x' FROM namespace;
INSERT INTO version (namespace_id, model_id, ordinal, version, semver_key, prerelease, state,
    manifest_digest, finalized_at, content, labels, description, card, creator, create_client)
SELECT namespace_id, model_id, 1, '1.0.0', 'x', false, 'ready', sha256('x'), now(), '{}', '{}', '',
    '', 'x', 'x' FROM model;
INSERT INTO blob (namespace_id, digest, size_bytes, storage_key, crc32c, creator)
SELECT namespace_id, sha256('x'), 1, 'k' || namespace_id, 0, 'x' FROM namespace;
"""
ACME = names.VersionName("acme", "m", "1.0.0")
THEIRS = names.VersionName("other", "m", "1.0.0")


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[database.Database]:
    """A pool of four connections over two namespaces, `acme` and `other`."""
    await services.execute(database_url, TWO)
    db = await database.Database.open(database_url, 4)
    yield db
    await db.close()


async def test_a_statement_that_forgets_its_namespace_finds_only_what_is_permitted(
    small: database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful = versions.GET.replace("n.name = $1", "$1::text IS NOT NULL")
    assert forgetful != versions.GET
    monkeypatch.setattr(versions, "GET", forgetful)
    with sight.only("acme"):
        async with small.connection() as connection:
            found = await versions.get(connection, THEIRS)  # asks for another's, by mistake
    assert found.version.name == ACME


async def test_where_nothing_is_permitted_nothing_is_there(small: database.Database) -> None:
    with sight.only():
        async with small.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM version") == 0
        with pytest.raises(errors.NotFound):
            async with small.connection() as connection:
                await versions.get(connection, ACME)


async def seen_through(connection: database.Connection) -> set[str]:
    rows = await connection.fetch(
        "SELECT n.name FROM version v JOIN namespace n USING (namespace_id)"
    )
    return {row["name"] for row in rows}


async def look_around(db: database.Database, pick: random.Random, looks: list[int]) -> None:
    """Look through connections, each time as somebody else; fail now and then."""
    for _ in range(20):
        wanted = pick.choice([("acme",), ("other",), ("acme", "other"), ()])
        with sight.only(*wanted):
            async with db.transaction() as connection:
                assert await seen_through(connection) == set(wanted)
                looks.append(1)
                await meddle(connection, pick.randrange(8))
                assert await seen_through(connection) == set(wanted)


async def meddle(connection: database.Connection, how: int) -> None:
    if how < 3:
        async with database.widened(connection, sight.Work.FIND_CYCLE):
            assert await seen_through(connection) == {"acme", "other"}
            if how == 0:
                await connection.execute("SELECT 1 / 0")
    elif how == 3:
        await connection.execute("SELECT pg_sleep(0.005)")  # a good place to be cancelled at


async def test_nobody_sees_through_the_connection_of_another(small: database.Database) -> None:
    """Many tasks over few connections, of which many are cancelled, and many fail midway."""
    pick, looks, ends = random.Random(7), list[int](), list[type | None]()

    async def attempt(number: int) -> None:
        task = asyncio.create_task(look_around(small, pick, looks))
        if number % 3 == 0:
            await asyncio.sleep(pick.random() / 5)  # where that finds it is left to chance
            task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        ends.append(type(end) if end else None)

    async with asyncio.timeout(100):
        await asyncio.gather(*(attempt(number) for number in range(64)))
    assert set(ends) <= {asyncio.CancelledError, asyncpg.DivisionByZeroError, None}
    assert len(looks) > 100
    for wanted in ("acme", "other") * 4:
        with sight.only(wanted):
            async with small.connection() as connection:
                assert await seen_through(connection) == {wanted}


async def test_a_block_that_fails_in_our_words_is_narrow_again(small: database.Database) -> None:
    with sight.only("acme"):
        async with small.transaction() as connection:
            with pytest.raises(errors.NotFound):
                async with database.widened(connection, sight.Work.FIND_CYCLE):
                    raise errors.NotFound("nothing")
            assert await seen_through(connection) == {"acme"}


async def test_a_rolled_back_transaction_takes_back_what_it_showed(
    small: database.Database,
) -> None:
    with sight.only("acme"):
        async with small.rehearsal() as connection:
            sight.admit("other")
            await database.show_admitted(connection)
            assert await seen_through(connection) == {"acme", "other"}
    with sight.only("acme"):
        for _ in range(5):
            async with small.connection() as connection:
                assert await seen_through(connection) == {"acme"}


async def test_what_is_shown_is_said_once(small: database.Database) -> None:
    """A hot read is one statement, as long as the connection's last one was of the namespace."""
    said = []

    def count(query: Any) -> None:
        said.append(query.query)

    with sight.only("acme"):
        async with small.connection() as connection:
            connection.add_query_logger(count)
            first = connection._con  # to find the same one again
        for _ in range(10):
            async with small.connection() as connection:
                assert connection._con is first  # the pool gives the last one back
                await versions.get(connection, ACME)
    with sight.only("other"):
        async with small.connection() as connection:
            await versions.get(connection, THEIRS)
    with sight.only("unknown"):  # may be made by somebody else any time
        for _ in range(3):
            async with small.connection() as connection:
                pass
    shown = [one for one in said if "show_namespaces" in one]
    assert len(shown) == 1 + 3
    assert len(said) - len(shown) == 10 + 1


async def test_a_namespace_made_by_another_replica_is_found(
    small: database.Database, database_url: str
) -> None:
    name = names.NamespaceName("fresh")
    with sight.only("fresh"):
        async with small.connection() as connection:
            assert not await namespaces.exists(connection, "fresh")
        await services.execute(
            database_url,
            "INSERT INTO namespace (name, description, labels, creator)"
            " VALUES ('fresh', '', '{}', 'x')",
        )
        async with small.connection() as connection:
            assert (await namespaces.get(connection, name)).name == name
            assert await connection.fetchval("SELECT count(*) FROM namespace_usage") == 1


def user_of(url: str, user: str) -> str:
    """The same database, as another user, whose password is `p`."""
    return f"postgresql://{user}:p@{url.rpartition('@')[2]}"


@pytest.fixture(scope="module")
async def keeper(postgres: embedded.Postgres) -> AsyncIterator[str]:
    """A user that is no superuser and may make no roles: what a careful administrator gives."""
    await services.execute(postgres.url, "CREATE ROLE keeper LOGIN PASSWORD 'p'")
    yield "keeper"
    await services.execute(postgres.url, "DROP OWNED BY keeper; DROP ROLE keeper")


@pytest.fixture
async def kept_url(postgres: embedded.Postgres, keeper: str) -> AsyncIterator[str]:
    """An empty database that it owns, by its own URL; its server's role goes at the end."""
    async with services.database(postgres) as url:
        name = url.rpartition("/")[2]
        await services.execute(postgres.url, f'ALTER DATABASE "{name}" OWNER TO {keeper}')
        yield user_of(url, keeper)
    await services.execute(postgres.url, "DROP ROLE IF EXISTS keeper_app")


async def test_an_owner_who_may_make_no_role_is_told_what_to_ask_for(
    postgres: embedded.Postgres, kept_url: str
) -> None:
    with pytest.raises(errors.FailedPrecondition, match="CREATE ROLE keeper_app NOLOGIN; GRANT"):
        await migrations.migrate(kept_url)
    await services.execute(
        postgres.url, "CREATE ROLE keeper_app NOLOGIN; GRANT keeper_app TO keeper"
    )
    assert (await migrations.migrate(kept_url))[-1] == migrations.available()[-1].name
    await works(kept_url)


async def test_an_owner_who_may_make_roles_needs_nobody(
    postgres: embedded.Postgres, kept_url: str
) -> None:
    await services.execute(postgres.url, "ALTER ROLE keeper CREATEROLE")
    try:
        await migrations.migrate(kept_url)
        await works(kept_url)
    finally:
        await services.execute(postgres.url, "ALTER ROLE keeper NOCREATEROLE")


async def test_a_server_may_log_in_as_somebody_who_owns_nothing(
    postgres: embedded.Postgres, kept_url: str
) -> None:
    await services.execute(
        postgres.url,
        "CREATE ROLE keeper_app NOLOGIN; GRANT keeper_app TO keeper;"
        "CREATE ROLE serving LOGIN PASSWORD 'p' IN ROLE keeper_app",
    )
    try:
        await migrations.migrate(kept_url)
        await migrations.require_current(user_of(kept_url, "serving"))
        await works(user_of(kept_url, "serving"))
    finally:
        await services.execute(postgres.url, "DROP ROLE serving")


async def works(url: str) -> None:
    """That a pool sees what it shall and no more, whoever it logs in as."""
    db = await database.Database.open(url, 1)
    with sight.only("acme"):
        async with db.transaction() as connection:
            await connection.execute(TWO.partition(";")[0].replace("acme,other", "acme"))
            assert await connection.fetchval("SELECT count(*) FROM namespace_usage") == 1
    with sight.only("other"):
        async with db.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM namespace_usage") == 0
    await db.close()


async def test_a_pool_that_the_wall_does_not_hold_is_not_opened(
    postgres: embedded.Postgres, database_url: str
) -> None:
    owner = postgres.url.partition("//")[2].partition(":")[0]
    await services.execute(postgres.url, f"ALTER ROLE {owner}_app BYPASSRLS")
    try:
        with pytest.raises(errors.FailedPrecondition, match="bypasses"):
            await database.Database.open(database_url, 1)
    finally:
        await services.execute(postgres.url, f"ALTER ROLE {owner}_app NOBYPASSRLS")


async def test_what_the_role_lost_is_granted_again_by_a_migration(database_url: str) -> None:
    """As after a restore: what a dump of a database tells of roles may not be known elsewhere."""
    lost = "DO $$ BEGIN EXECUTE format('DROP OWNED BY %I', server_role()); END $$"
    await services.execute(database_url, lost)
    assert await migrations.migrate(database_url) == []
    await works(database_url)


async def test_a_new_table_is_walled_by_the_next_migration(database_url: str) -> None:
    await services.execute(
        database_url, "CREATE TABLE fresh (namespace_id bigint NOT NULL REFERENCES namespace)"
    )
    await migrations.migrate(database_url)
    found = {one["name"]: one["secured"] for one in await tables(database_url)}
    assert found["fresh"]
