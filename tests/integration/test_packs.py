"""Packs: objects that hold many blobs, what becomes of them, and what a crash leaves behind."""

import asyncio
import datetime
from collections.abc import Sequence

import asyncpg
import pytest
from support import faulty_store, memory_store, sealing, services, uploading

from modelkeep.blobs import store
from modelkeep.domain import batches, errors, garbage, pages
from modelkeep.service import batches as batch_service
from modelkeep.service import budget, collecting, hashing, reaping, repacking, rereading, scrub
from modelkeep.storage import database
from modelkeep.storage import garbage as garbage_rows

ZERO, LONG = datetime.timedelta(0), datetime.timedelta(days=10)
LONG_AGO = "UPDATE blob SET touched_at = now() - interval '30 days'"
CONTENTS = sorted((uploading.content_of(100, seed) for seed in range(5)), key=uploading.digest_of)
DIGESTS = [uploading.digest_of(content) for content in CONTENTS]
TOUCH_SECOND = """
UPDATE blob SET touched_at = now()
WHERE digest = (SELECT digest FROM blob ORDER BY digest OFFSET 1 LIMIT 1)"""


class Deployment:
    """One pack of five blobs of 100 bytes, in the order of their digests, and who acts on it."""

    def __init__(self, db: database.Database, blobs: store.BlobStore) -> None:
        self.db = db
        self.blobs = blobs
        self.hasher = hashing.Hasher(1)
        self.small = batch_service.Batches(db, blobs, budget.MemoryBudget(10**6), self.hasher)
        self.collecting = collecting.Collecting(db, blobs)
        self.repacking = repacking.Repacking(db, blobs)
        self.rereader = rereading.Rereader(blobs, self.hasher)
        self.sealing = sealing.Sealing(db, blobs)

    async def write(self, contents: Sequence[bytes] = CONTENTS) -> None:
        blobs = [batches.SmallBlob(uploading.digest_of(each), each) for each in contents]
        batch = batches.Batch(tuple(blobs))
        written = await self.small.write(uploading.CALLER, "", uploading.ACME, batch)
        assert {blob.fate.verdict for blob in written} == {batches.Verdict.OK}

    async def read(self) -> list[bytes]:
        wanted = batches.Wanted(tuple(DIGESTS))
        found = await self.small.read(uploading.CALLER, uploading.ACME, wanted)
        return [blob.content for blob in found]

    async def seal(self, number: int, contents: Sequence[bytes]) -> None:
        files = {f"f{n}": content for n, content in enumerate(contents)}
        await self.sealing.seal(await self.sealing.draft(number), files)

    async def collect(self, *, dry_run: bool = False) -> tuple[garbage.Garbage, ...]:
        sweep = await self.collecting.collect(
            *(uploading.CALLER, uploading.NOT_ONCE, uploading.ACME, pages.PageRequest(100)),
            dry_run=dry_run,
        )
        return sweep.found

    def reaper(self, grace: datetime.timedelta = garbage.ORPHAN_GRACE) -> reaping.Reaper:
        return reaping.Reaper(self.db, self.blobs, reaping.Settings(orphan_grace=grace))

    async def execute(self, statement: str) -> None:
        async with self.db.connection() as connection:
            await connection.execute(statement)

    async def keys(self) -> list[str]:
        """The keys of the packs that have a row."""
        async with self.db.connection() as connection:
            rows = await connection.fetch("SELECT storage_key FROM pack ORDER BY created_at")
        return [row["storage_key"] for row in rows]


@pytest.fixture
async def deployment(db: database.Database, faulty: faulty_store.FaultyBlobStore) -> Deployment:
    made = Deployment(db, faulty)
    await made.sealing.make_model()
    await made.write()
    return made


def freed(found: Sequence[garbage.Garbage]) -> list[int]:
    return [blob.freed_bytes for blob in found]


async def test_a_pack_stays_as_long_as_one_of_its_blobs_is_needed(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    await deployment.seal(1, CONTENTS[4:])
    await deployment.execute(LONG_AGO)
    told = await deployment.collect(dry_run=True)
    assert [blob.digest for blob in told] == DIGESTS[:4]
    assert freed(told) == [0] * 4  # nothing yet: the object stays
    assert await deployment.collect() == told
    assert len(memory.objects) == 1
    assert await deployment.read() == [b""] * 4 + CONTENTS[4:]


async def test_the_last_blob_takes_the_pack_with_it(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    await deployment.write([b"alone"])
    await deployment.execute(LONG_AGO)
    told = {blob.digest: blob.freed_bytes for blob in await deployment.collect(dry_run=True)}
    assert told == dict(zip(DIGESTS, [0, 0, 0, 0, 500], strict=True)) | {
        uploading.digest_of(b"alone"): 5
    }
    assert {blob.digest: blob.freed_bytes for blob in await deployment.collect()} == told
    assert memory.objects == {}
    assert await deployment.keys() == []


async def test_of_two_collectors_the_later_one_frees_the_pack(deployment: Deployment) -> None:
    await deployment.execute(LONG_AGO)
    async with deployment.db.connection() as connection:
        namespace_id = await connection.fetchval("SELECT namespace_id FROM namespace")

    async def collect_rest() -> garbage_rows.Collected:
        async with deployment.db.transaction() as connection:
            return await garbage_rows.collect(connection, namespace_id, DIGESTS[2:], ZERO)

    async with deployment.db.transaction() as first:
        collected = await garbage_rows.collect(first, namespace_id, DIGESTS[:2], ZERO)
        assert collected.storage_keys == ()
        later = asyncio.create_task(collect_rest())
        await _waiting_for_a_lock(deployment.db)
    (key,) = (await later).storage_keys
    assert await deployment.keys() == []
    assert [blob.freed_bytes for blob in (await later).blobs] == [0, 0, 500]
    assert key.startswith("blobs/pack-")


async def _waiting_for_a_lock(db: database.Database) -> None:
    statement = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with asyncio.timeout(20), services.owning(db) as connection:
        while not await connection.fetchval(statement):  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.005)


async def test_a_crash_before_the_object_goes_leaves_what_the_reaper_finds(
    deployment: Deployment,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    await deployment.execute(LONG_AGO)
    faulty.fail("delete")
    assert len(await deployment.collect()) == 5
    assert len(memory.objects) == 1
    assert (await deployment.reaper(ZERO).round()).objects == 1
    assert memory.objects == {}


async def test_a_crash_before_the_commit_leaves_what_the_reaper_finds(
    deployment: Deployment,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def killed(*_: object) -> None:
        raise errors.Unavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(deployment.small._changes, "apply", killed)
        faulty.fail("delete")
        with pytest.raises(errors.Unavailable):
            await deployment.write([b"a", b"b"])
    assert len(memory.objects) == 2
    assert (await deployment.reaper().round()).objects == 0  # it may be on its way still
    assert (await deployment.reaper(ZERO).round()).objects == 1
    assert await deployment.read() == CONTENTS


async def test_the_database_refuses_to_forget_a_pack_that_a_blob_is_in(
    deployment: Deployment,
) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="blob_pack_exists"):
        async with deployment.db.transaction() as connection:
            await connection.execute("DELETE FROM pack")
    assert await deployment.read() == CONTENTS


async def rot(memory: memory_store.MemoryBlobStore, key: str, at: int) -> None:
    whole = memory.objects[key]
    memory.objects[key] = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


async def test_rot_is_found_in_the_blob_it_is_in_and_a_push_repairs_it(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    (key,) = await deployment.keys()
    await rot(memory, key, 250)
    scrubbing = scrub.Scrub(
        deployment.db, deployment.rereader, scrub.Settings(bytes_per_s=1e12, older_than=ZERO)
    )
    for _ in DIGESTS:
        assert await scrubbing.step()
    async with deployment.db.connection() as connection:
        found = await connection.fetch("SELECT digest, rot FROM blob WHERE rot <> ''")
        (event,) = await connection.fetch("SELECT * FROM audit_event WHERE action = 'blob.rotted'")
    assert [(f"sha256:{row['digest'].hex()}", row["rot"]) for row in found] == [
        (DIGESTS[2], "bytes 0 to 100 are damaged")
    ]
    assert DIGESTS[2] in event["resource"]
    assert await deployment.read() == [*CONTENTS[:2], b"", *CONTENTS[3:]]
    await deployment.write()
    assert sorted(map(len, memory.objects.values())) == [100, 500]
    assert await deployment.read() == CONTENTS


async def test_a_pack_whose_last_blob_was_repaired_elsewhere_is_reaped(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    await deployment.execute("UPDATE blob SET rotten_at = now(), rot = 'bytes are damaged'")
    (old,) = await deployment.keys()
    await deployment.write()
    (_, new) = await deployment.keys()
    assert (await deployment.reaper(ZERO).round()).objects == 1
    assert list(memory.objects) == await deployment.keys() == [new] != [old]
    assert await deployment.read() == CONTENTS


@pytest.fixture
async def sparse(deployment: Deployment) -> str:
    """The key of the pack, of which only the blobs 1 and 3 are alive."""
    await deployment.seal(1, [CONTENTS[1], CONTENTS[3]])
    await deployment.execute(LONG_AGO)
    assert len(await deployment.collect()) == 3
    (key,) = await deployment.keys()
    return key


ALIVE = [b"", CONTENTS[1], b"", CONTENTS[3], b""]


async def test_a_sparse_pack_is_written_anew_and_the_old_one_stays_for_its_readers(
    deployment: Deployment, memory: memory_store.MemoryBlobStore, sparse: str
) -> None:
    memory.modified_at[sparse] -= LONG
    assert await deployment.reaper().round() == reaping.Reaped(repacked=1)
    old, new = await deployment.keys()
    assert (old, memory.objects[new]) == (sparse, CONTENTS[1] + CONTENTS[3])
    assert await deployment.read() == ALIVE
    # Who looked a blob up before may still read it, however old the object is.
    assert await deployment.reaper().round() == reaping.Reaped()
    assert sparse in memory.objects
    await deployment.execute("UPDATE pack SET retired_at = retired_at - interval '10 days'")
    assert await deployment.reaper().round() == reaping.Reaped(objects=1)
    assert list(memory.objects) == await deployment.keys() == [new]
    assert await deployment.read() == ALIVE


async def test_half_alive_is_enough_to_stay(deployment: Deployment) -> None:
    await deployment.seal(1, CONTENTS[:3])
    await deployment.execute(LONG_AGO)
    assert len(await deployment.collect()) == 2
    assert await deployment.reaper().round() == reaping.Reaped()


async def test_what_is_left_alone_becomes_an_object_of_its_own(
    deployment: Deployment, memory: memory_store.MemoryBlobStore
) -> None:
    await deployment.seal(1, CONTENTS[2:3])
    await deployment.execute(LONG_AGO)
    await deployment.collect()
    assert await deployment.repacking.repack(await deployment.keys(), 1) == 1
    assert await deployment.read() == [b"", b"", CONTENTS[2], b"", b""]
    assert (await deployment.reaper(ZERO).round()).objects == 1
    assert list(memory.objects.values()) == [CONTENTS[2]]
    assert await deployment.keys() == []


async def test_nothing_moves_while_somebody_holds_a_blob(
    deployment: Deployment, memory: memory_store.MemoryBlobStore, sparse: str
) -> None:
    async with deployment.db.transaction() as sealing_it:
        await sealing_it.execute("SELECT FROM blob FOR KEY SHARE")  # as finalize does
        assert await deployment.repacking.repack([sparse], 1) == 0
    assert list(memory.objects) == [sparse]
    assert await deployment.repacking.repack([sparse], 1) == 1


async def test_what_is_collected_while_it_is_copied_leaves_a_hole(
    deployment: Deployment,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    await deployment.seal(1, CONTENTS[:1])
    await deployment.execute(LONG_AGO)
    await deployment.execute(TOUCH_SECOND)
    assert len(await deployment.collect()) == 3
    gate = faulty.hold("put")
    moving = asyncio.create_task(deployment.repacking.repack(await deployment.keys(), 1))
    await uploading.until(lambda: faulty.calls["put"] == 2)
    await deployment.execute(LONG_AGO)
    assert freed(await deployment.collect()) == [0]
    gate.set()
    assert await moving == 1
    assert await deployment.read() == [CONTENTS[0], *[b""] * 4]
    assert (await deployment.reaper(ZERO).round()).objects == 1
    assert len(memory.objects) == 1


async def test_a_pack_that_dies_while_it_is_copied_is_not_revived(
    deployment: Deployment,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    await deployment.execute(LONG_AGO)
    await deployment.execute(TOUCH_SECOND)
    assert len(await deployment.collect()) == 4
    gate = faulty.hold("put")
    moving = asyncio.create_task(deployment.repacking.repack(await deployment.keys(), 1))
    await uploading.until(lambda: faulty.calls["put"] == 2)
    await deployment.execute(LONG_AGO)
    assert freed(await deployment.collect()) == [500]
    gate.set()
    assert await moving == 0
    assert memory.objects == {}


async def test_of_two_who_rewrite_a_pack_one_does_it(
    deployment: Deployment,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
    sparse: str,
) -> None:
    gate = faulty.hold("put")
    late = asyncio.create_task(deployment.repacking.repack([sparse], 1))
    await uploading.until(lambda: faulty.calls["put"] == 2)
    assert await deployment.repacking.repack([sparse], 1) == 1
    gate.set()
    assert await late == 0
    assert sorted(memory.objects) == sorted(await deployment.keys())
    assert await deployment.read() == ALIVE


@pytest.mark.parametrize("at", [150, 350])
async def test_a_damaged_pack_is_not_written_anew(
    deployment: Deployment, memory: memory_store.MemoryBlobStore, sparse: str, at: int
) -> None:
    await rot(memory, sparse, at)
    assert await deployment.repacking.repack([sparse], 1) == 0
    assert list(memory.objects) == [sparse]


async def test_a_store_that_is_away_leaves_the_pack_as_it_is(
    deployment: Deployment, faulty: faulty_store.FaultyBlobStore, sparse: str
) -> None:
    for operation in ("read", "put"):
        if operation == "read":
            faulty.cut_read(0)
        else:
            faulty.fail("put")
        with pytest.raises(errors.Unavailable):
            await deployment.repacking.repack([sparse], 1)
        assert await deployment.read() == ALIVE
    assert await deployment.repacking.repack([sparse], 1) == 1


async def test_a_cut_read_of_a_single_blob_names_where_it_ends(
    deployment: Deployment, replica: uploading.Replica, memory: memory_store.MemoryBlobStore
) -> None:
    (key,) = await deployment.keys()
    assert await replica.read(DIGESTS[3], 10, 20) == CONTENTS[3][10:30]
    memory.objects[key] = memory.objects[key][:150]
    assert await replica.read(DIGESTS[0]) == CONTENTS[0]
    with pytest.raises(errors.DataLoss) as caught:
        await replica.read(DIGESTS[3])
    assert caught.value.metadata["offset"] == "0"
