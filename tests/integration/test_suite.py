"""What the tests themselves stand on: nothing of one is left for the next."""

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from support import reuse, services

from modelkeep.local import postgres as embedded

NAMESPACE = (
    "INSERT INTO namespace (name, description, labels, creator) VALUES ('acme', '', '{}', 'me')"
)
COUNT = "SELECT count(*) FROM namespace"


@pytest.fixture
async def databases(postgres: embedded.Postgres, _template: str) -> AsyncIterator[reuse.Databases]:
    databases = reuse.Databases(postgres, _template)
    yield databases
    await databases.close()


async def test_a_database_is_given_out_again_without_rows_and_counting_from_one(
    databases: reuse.Databases,
) -> None:
    seen = []
    for _ in range(2):
        async with databases.one() as url:
            await services.execute(url, NAMESPACE)
            number = await services.fetch_value(url, "SELECT namespace_id FROM namespace")
            applied = await services.fetch_value(url, "SELECT count(*) FROM schema_migration")
            seen.append((url, number, applied))
    assert seen[0] == seen[1]
    assert seen[0][1] == 1
    assert seen[0][2] > 0


async def test_who_is_still_connected_is_sent_away(databases: reuse.Databases) -> None:
    async with databases.one() as url:
        late = await asyncpg.connect(url)
        await late.execute(f"BEGIN; {NAMESPACE}")
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await late.execute("COMMIT")
    async with databases.one() as again:
        assert again == url
        assert await services.fetch_value(again, COUNT) == 0


@pytest.mark.parametrize(
    "alteration",
    [
        "ALTER TABLE version DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE version DISABLE TRIGGER version_sealed",
        "DROP TRIGGER audit_append_only ON audit_event",
        "DROP POLICY seen ON version",
        "ALTER TABLE version ADD COLUMN mine text",
        "DROP TABLE audit_event CASCADE",
        "CREATE TABLE mine (x int)",
        "ALTER FUNCTION seen_namespaces() IMMUTABLE",
        "DELETE FROM schema_migration",
        "GRANT SELECT ON version TO PUBLIC",
        f"{NAMESPACE}; ANALYZE namespace",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = off', current_database()); END $$",
    ],
)
async def test_what_a_test_altered_is_never_given_out_again(
    databases: reuse.Databases, alteration: str
) -> None:
    async with databases.one() as url:
        await services.execute(url, alteration)
    async with databases.one() as other:
        assert other != url


def test_a_bucket_is_given_out_again_empty(s3: services.S3) -> None:
    buckets = reuse.Buckets(s3)
    client = s3.client()
    with buckets.one() as name:
        client.put_object(name, "a/b", io.BytesIO(b"x"), 1)
        client._create_multipart_upload(name, "c", {})
    with buckets.one() as again:
        assert again == name
        assert list(client.list_objects(name, recursive=True)) == []
        assert client._list_multipart_uploads(name).uploads == []
    buckets.close()
    assert not client.bucket_exists(name)


SERVE_ON = ["serve", "--listen", "nowhere"]


def run(words: list[str], option: list[str], place: Path) -> tuple[int, str, str]:
    """How the program ends, forked from the warm process or, with an option, started."""
    ended = subprocess.run(
        [sys.executable, *option, "-m", "modelkeep", *words],
        env=services.clean_environ(HOME=str(place)),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    "words", [["--help"], ["push", "--help"], ["no-such"], SERVE_ON, ["ls", "acme"]]
)
def test_a_forked_program_says_and_ends_with_what_a_started_one_does(
    words: list[str], tmp_path: Path
) -> None:
    assert run(words, [], tmp_path) == run(words, ["-s"], tmp_path)


async def test_a_forked_program_is_a_child_that_can_be_killed() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", "audit", "verify", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    process.kill()
    assert await process.wait() == -9
