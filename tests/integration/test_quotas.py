"""Quotas: what counts, what is refused, and that nobody gets past one by being many."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
from support import faulty_store, memory_store, sealing, services, uploading

from modelkeep.domain import (
    batches,
    errors,
    manifests,
    names,
    namespaces,
    quotas,
    specs,
    uploads,
    versions,
)
from modelkeep.service import batches as batch_service
from modelkeep.service import hashing, reaping, usecases
from modelkeep.service import namespaces as namespace_service
from modelkeep.service import quotas as quota_service
from modelkeep.storage import database, migrations

PART = uploading.PART
CALLER, NOT_ONCE, ACME = uploading.CALLER, uploading.NOT_ONCE, uploading.ACME


class Acme:
    """The namespace as its operator sees it."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._quotas = quota_service.Quotas(db)
        self._namespaces = namespace_service.Namespaces(db)

    async def limit(self, **changed: int) -> namespaces.Namespace:
        return await self._namespaces.update(CALLER, NOT_ONCE, ACME, changed, "")

    async def usage(self) -> quotas.Usage:
        """What the counters say, which must be what counting says."""
        recount = await self._quotas.recount(CALLER, NOT_ONCE, ACME)
        assert recount.previous == recount.counted.usage
        return recount.previous

    async def execute(self, statement: str, *arguments: object) -> None:
        async with self._db.connection() as connection:
            await connection.execute(statement, *arguments)

    async def actions(self) -> list[str]:
        async with self._db.connection() as connection:
            rows = await connection.fetch("SELECT action FROM audit_event ORDER BY seq")
        return [row["action"] for row in rows]


@pytest.fixture
def acme(db: database.Database) -> Acme:
    return Acme(db)


@pytest.fixture
async def small(
    db: database.Database, faulty: faulty_store.FaultyBlobStore, replica: uploading.Replica
) -> AsyncIterator[batch_service.Batches]:
    hasher = hashing.Hasher(1)
    yield batch_service.Batches(db, faulty, replica.uploads.memory, hasher)
    hasher.close()


def batch_of(*contents: bytes) -> batches.Batch:
    return batches.Batch(
        tuple(batches.SmallBlob(uploading.digest_of(each), each) for each in contents)
    )


def refused(error: pytest.ExceptionInfo[errors.QuotaExceeded]) -> tuple[str, int, int, int]:
    told = error.value.metadata
    assert (error.value.reason, told["namespace"]) == ("QUOTA_EXCEEDED", "namespaces/acme")
    return told["quota"], int(told["limit"]), int(told["used"]), int(told["asked"])


async def test_an_upload_is_reserved_whole_then_stored_then_collected(
    replica: uploading.Replica, acme: Acme
) -> None:
    content = uploading.content_of(2 * PART + 1)
    upload = await replica.start(content)
    await replica.start(content)  # the same one
    assert await acme.usage() == quotas.Usage(0, 2 * PART + 1, 0, 1)
    await replica.write(upload.name, uploading.pieces_of(content))
    await replica.complete(upload.name)
    assert await acme.usage() == quotas.Usage(2 * PART + 1, 0, 0, 0)
    await acme.execute("DELETE FROM blob")
    assert await acme.usage() == quotas.Usage()


async def test_what_is_given_up_or_fails_is_no_longer_reserved(
    replica: uploading.Replica, acme: Acme
) -> None:
    upload = await replica.start(b"one")
    await replica.abort(upload.name)
    assert await acme.usage() == quotas.Usage()
    liar = await replica.start(b"two")
    await replica.write(liar.name, uploading.pieces_of(b"owt"))
    with pytest.raises(errors.DataLoss):
        await replica.complete(liar.name)
    assert await acme.usage() == quotas.Usage()


async def test_a_blob_counts_once_however_it_comes(
    replica: uploading.Replica, small: batch_service.Batches, acme: Acme
) -> None:
    await replica.push(b"same")
    await small.write(CALLER, "", ACME, batch_of(b"same", b"other", b"other"))
    assert await acme.usage() == quotas.Usage(stored_bytes=9)


async def test_bytes_beyond_the_quota_are_refused_with_all_that_there_is_to_know(
    replica: uploading.Replica, small: batch_service.Batches, acme: Acme
) -> None:
    await acme.limit(stored_bytes_quota=10)
    await replica.push(b"1234")
    await replica.start(b"56789")
    with pytest.raises(errors.QuotaExceeded, match="modelkeep gc acme") as started:
        await replica.start(b"ab")
    assert refused(started) == ("stored_bytes", 10, 9, 2)
    with pytest.raises(errors.QuotaExceeded) as batched:
        await small.write(CALLER, "", ACME, batch_of(b"a", b"b"))
    assert refused(batched) == ("stored_bytes", 10, 9, 2)
    await small.write(CALLER, "", ACME, batch_of(b"a", b"1234"))  # what is held takes nothing
    assert (await acme.usage()).stored_bytes == 5


async def test_a_batch_that_is_refused_at_its_commit_leaves_nothing_in_the_store(
    small: batch_service.Batches,
    acme: Acme,
    memory: memory_store.MemoryBlobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await acme.limit(stored_bytes_quota=3)
    monkeypatch.setattr(quotas, "require_room", lambda *_: None)  # as if it was filled meanwhile
    with pytest.raises(errors.QuotaExceeded):
        await small.write(CALLER, "", ACME, batch_of(b"ab", b"cd"))
    assert memory.objects == {}
    assert await acme.usage() == quotas.Usage()
    assert "blobs.stored" not in await acme.actions()


async def test_what_is_on_its_way_comes_in_though_the_quota_was_lowered_meanwhile(
    replica: uploading.Replica, acme: Acme
) -> None:
    upload = await replica.start(b"1234")
    await acme.limit(stored_bytes_quota=1, open_uploads_quota=1)
    await replica.write(upload.name, uploading.pieces_of(b"1234"))
    done = await replica.complete(upload.name)
    assert done.state is uploads.UploadState.COMMITTED
    with pytest.raises(errors.QuotaExceeded):
        await replica.start(b"x")
    await acme.limit(stored_bytes_quota=0)
    await replica.start(b"x")


async def test_open_uploads_are_limited_and_the_end_of_one_makes_room(
    replica: uploading.Replica, acme: Acme
) -> None:
    await acme.limit(open_uploads_quota=2)
    first = await replica.start(b"1")
    await replica.start(b"2")
    with pytest.raises(errors.QuotaExceeded) as error:
        await replica.start(b"3")
    assert refused(error) == ("open_uploads", 2, 2, 1)
    assert error.value.retry_after_s < 10
    assert (await replica.start(b"2")).state is uploads.UploadState.ACTIVE  # it is open already
    await replica.abort(first.name)
    await replica.start(b"3")


async def test_many_at_once_never_get_past_a_limit(
    replica: uploading.Replica, other: uploading.Replica, acme: Acme
) -> None:
    await acme.limit(open_uploads_quota=7)

    async def start(n: int) -> bool:
        with contextlib.suppress(errors.QuotaExceeded):
            await (replica, other)[n % 2].start(b"%d" % n)
            return True
        return False

    opened = await asyncio.gather(*(start(n) for n in range(60)))
    assert sum(opened) == 7
    assert (await acme.usage()).open_uploads == 7


async def test_logical_bytes_count_every_version_though_the_bytes_are_shared(
    db: database.Database,
    memory: memory_store.MemoryBlobStore,
    replica: uploading.Replica,
    acme: Acme,
) -> None:
    versions_of = sealing.Sealing(db, memory)
    await versions_of.make_model()
    await replica.push(b"1234")
    drafts = [await versions_of.draft(n) for n in range(3)]
    await acme.limit(logical_bytes_quota=13)
    await versions_of.seal(drafts[0], {"a": b"1234", "b": b"1234"})
    await versions_of.seal(drafts[1], {"a": b"1234"})
    assert await acme.usage() == quotas.Usage(stored_bytes=4, logical_bytes=12)
    with pytest.raises(errors.QuotaExceeded, match="purge") as error:
        await versions_of.seal(drafts[2], {"a": b"1234"})
    assert refused(error) == ("logical_bytes", 13, 12, 4)
    await versions_of.delete(drafts[0])
    assert (await acme.usage()).logical_bytes == 12  # it can be restored, whatever comes meanwhile
    await versions_of.restore(drafts[0])
    await versions_of.delete(drafts[0])
    await acme.execute("UPDATE version SET state = 'purged', purged_at = now() WHERE ordinal = 1")
    await versions_of.seal(drafts[2], {"a": b"1234"})
    assert (await acme.usage()).logical_bytes == 8


async def test_a_prompt_that_is_refused_leaves_nothing_in_the_store(
    db: database.Database, memory: memory_store.MemoryBlobStore, acme: Acme
) -> None:
    await sealing.Sealing(db, memory).make_model()
    async with asyncio.timeout(20):
        cases = usecases.Registry.over(db, memory, None)  # type: ignore[arg-type]
        await acme.execute("UPDATE model SET kind = 'prompt'")
        spec = specs.PromptSpec("openai", "m-1", messages=(specs.PromptMessage("system", "hi"),))
        name = names.VersionName("acme", "m", "1.0.0")
        content = specs.Content(spec)
        await cases.versions.create(CALLER, NOT_ONCE, name, content, versions.Notes())
        await acme.limit(stored_bytes_quota=1)
        with pytest.raises(errors.QuotaExceeded):
            await cases.finalizing.finalize(CALLER, NOT_ONCE, name, manifests.Manifest.of([]), "")
    assert memory.objects == {}
    assert await acme.usage() == quotas.Usage()


async def test_counters_that_are_wrong_are_put_right_and_that_is_told(
    replica: uploading.Replica, acme: Acme, db: database.Database
) -> None:
    await replica.push(b"1234")
    await acme.usage()
    assert "namespace.recounted" not in await acme.actions()
    await acme.execute("UPDATE namespace_usage SET stored_bytes = 7, open_uploads = 3")
    recount = await quota_service.Quotas(db).recount(CALLER, NOT_ONCE, ACME)
    assert recount.previous == quotas.Usage(stored_bytes=7, open_uploads=3)
    assert recount.counted.usage == await acme.usage() == quotas.Usage(stored_bytes=4)
    assert (await acme.actions()).count("namespace.recounted") == 1


async def test_counting_anew_while_others_push_is_exact_and_never_waits_in_a_ring(
    replica: uploading.Replica, acme: Acme
) -> None:
    chance = random.Random(5)

    async def push() -> None:
        for _ in range(15):
            await replica.push(chance.randbytes(chance.randint(1, 500)))

    async with asyncio.TaskGroup() as group:
        pushing = [group.create_task(push()) for _ in range(4)]
        while not all(task.done() for task in pushing):
            await acme.usage()


async def test_the_reaper_gives_ten_thousand_uploads_up_a_bounded_number_at_a_time(
    acme: Acme, db: database.Database, faulty: faulty_store.FaultyBlobStore
) -> None:
    await acme.execute("""
        INSERT INTO upload (upload_id, namespace_id, digest, size_bytes, part_size_bytes, state,
            storage_key, creator, expires_at)
        SELECT md5(n::text), 1, sha256(n::text::bytea), 3, 9, 'active', 'blobs/' || md5(n::text),
            'me', now() - interval '1 hour' FROM generate_series(1, 10000) n""")
    assert await acme.usage() == quotas.Usage(reserved_bytes=30_000, open_uploads=10_000)
    reaper = reaping.Reaper(db, faulty)
    for rounds in (1, 2, 3):
        reaped = await reaper.round()
        assert reaped.expired == reaping.Settings().expired == 100
        assert (await acme.usage()).open_uploads == 10_000 - rounds * 100


async def test_a_change_that_is_taken_back_is_not_counted(
    acme: Acme, db: database.Database
) -> None:
    insert = """
        INSERT INTO blob (namespace_id, digest, size_bytes, storage_key, crc32c, creator)
        SELECT 1, sha256(n::text::bytea), 10, 'k' || n, 0, 'me' FROM generate_series(1, 3) n"""
    async with db.connection() as connection, connection.transaction():
        with contextlib.suppress(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute(insert)
                raise ZeroDivisionError
        await connection.execute(insert.replace("3)", "2)"))
        await connection.execute("DELETE FROM blob WHERE digest = sha256('1')")
    assert await acme.usage() == quotas.Usage(stored_bytes=10)


async def test_the_migration_counts_what_is_there_already(empty_database_url: str) -> None:
    before = [each for each in migrations.available() if each.number < 6]
    for statement in (
        *(each.sql for each in before),
        """INSERT INTO namespace (name, description, labels, creator)
           VALUES ('a', '', '{}', 'me'), ('b', '', '{}', 'me')""",
        """INSERT INTO model (namespace_id, name, kind, owner, description, labels, creator)
           VALUES (1, 'm', 'model', '', '', '{}', 'me')""",
        """INSERT INTO blob (namespace_id, digest, size_bytes, storage_key, crc32c, creator)
           SELECT 1, sha256(n::text::bytea), n, 'k' || n, 0, 'me' FROM generate_series(1, 4) n""",
        """INSERT INTO upload (upload_id, namespace_id, digest, size_bytes, part_size_bytes, state,
               storage_key, creator, expires_at, finished_at)
           VALUES (md5('1'), 1, sha256('x'), 5, 9, 'active', 'x', 'me', now(), NULL),
               (md5('2'), 1, sha256('y'), 6, 9, 'verifying', 'y', 'me', now(), NULL),
               (md5('3'), 1, sha256('z'), 7, 9, 'committed', 'z', 'me', now(), now())""",
        """INSERT INTO version (namespace_id, model_id, ordinal, version, semver_key, prerelease,
               state, total_bytes, content, labels, description, card, creator, create_client,
               deleted_from, deleted_at)
           VALUES (1, 1, 1, '1.0.0', '', false, 'deleted', 8, '{}', '{}', '', '', 'me', 'c',
               'draft', now())""",
        next(each.sql for each in migrations.available() if each.number == 6),
    ):
        await services.execute(empty_database_url, statement)
    connection = await database.connect(empty_database_url)
    rows = await connection.fetch("SELECT * FROM namespace_usage ORDER BY 1")
    await connection.close()
    assert [tuple(row) for row in rows] == [(1, 10, 11, 8, 2), (2, 0, 0, 0, 0)]
