"""Thousands of random operations over three replicas: nothing reachable ever goes, the rest does.

Time passes only where a test says so: rows and objects are made old, those of pushes under way left
out. So a push must never find that a blob it was told of is gone, and every seed decides the same.
"""

import asyncio
import collections
import contextlib
import datetime
import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
from support import faulty_store, memory_store, sealing, uploading

from modelkeep.domain import batches, errors, names, pages, uploads
from modelkeep.service import batches as batch_service
from modelkeep.service import collecting, hashing, reaping
from modelkeep.storage import database, quotas

PART = uploading.PART
ACTORS, STEPS = 12, 180
WINDOW = 25  # so many contents are pushed at a time, again and again; then others take their place
STEPS_EACH = 10
AGES = datetime.timedelta(days=30)
PASSING = (
    errors.Aborted,
    errors.OutOfRange,
    errors.FailedPrecondition,
    errors.Unavailable,
    errors.NotFound,  # the record of an upload that was forgotten meanwhile
)
# Locked rows are left out: a test that makes all old at once must not wait for others in a ring.
LOCK_BLOBS = """
SELECT digest FROM blob WHERE NOT encode(digest, 'hex') = ANY($1::text[])
AND touched_at <= $2 FOR UPDATE SKIP LOCKED"""
AGE_BLOBS = """
UPDATE blob SET touched_at = touched_at - interval '30 days' WHERE digest = ANY($1::bytea[])"""
LOCK_UPLOADS = "SELECT upload_id FROM upload FOR UPDATE SKIP LOCKED"
AGE_UPLOADS = """
UPDATE upload SET finished_at = finished_at - interval '30 days'
WHERE upload_id = ANY($1::text[])"""
EXPIRE = """
UPDATE upload SET expires_at = now() - interval '1 day'
WHERE upload_id = ANY($1::text[]) AND state = 'active'"""
LOCK_RETIRED = "SELECT storage_key FROM pack WHERE retired_at IS NOT NULL FOR UPDATE SKIP LOCKED"
RETIRE_LONG_AGO = """
UPDATE pack SET retired_at = retired_at - interval '30 days' WHERE storage_key = ANY($1::text[])"""
KNOWN_KEYS = """
SELECT storage_key FROM blob UNION ALL SELECT storage_key FROM upload WHERE state = 'active'"""


class Node:
    """Everything one replica offers, and its reaper."""

    def __init__(self, db: database.Database, blobs: faulty_store.FaultyBlobStore) -> None:
        at_once = datetime.timedelta(0)
        settings = uploading.small_settings(touch_after=at_once)
        self.replica = uploading.Replica(db, blobs, settings)
        sending = self.replica.uploads
        self.batches = batch_service.Batches(
            db, blobs, sending.memory, hashing.Hasher(1), touch_after=at_once
        )
        self.sealing = sealing.Sealing(db, blobs)
        self.collecting = collecting.Collecting(db, blobs)
        self.reaper = reaping.Reaper(
            db, blobs, reaping.Settings(expired=5, forgotten=5, listed=7, pages=3)
        )

    async def collect(self, size: int) -> int:
        page, found = pages.PageRequest(size), 0
        while True:
            sweep = await self.collecting.collect(
                uploading.CALLER, uploading.NOT_ONCE, uploading.ACME, page, dry_run=False
            )
            found += len(sweep.found)
            if not sweep.more:
                return found
            page = pages.PageRequest(size, sweep.reached)


class Storm:
    """What happens, and what must be true of it."""

    def __init__(
        self,
        db: database.Database,
        memory: memory_store.MemoryBlobStore,
        faulty: faulty_store.FaultyBlobStore,
        chance: random.Random,
    ) -> None:
        self._db = db
        self._memory = memory
        self._faulty = faulty
        self._chance = chance
        self._in_flight: collections.Counter[str] = collections.Counter()
        self._reading = 0
        self._numbers = iter(range(1_000_000))
        self.nodes = [Node(db, faulty) for _ in range(3)]
        count = ACTORS * STEPS // STEPS_EACH + WINDOW
        self._contents = [uploading.content_of(_size_of(seed), seed) for seed in range(count)]
        self.sealed: dict[names.VersionName, list[bytes]] = {}
        self.deleted: set[names.VersionName] = set()
        self.done: collections.Counter[str] = collections.Counter()

    def node(self) -> Node:
        return self._chance.choice(self.nodes)

    def some(self, most: int) -> list[bytes]:
        start = self.done["steps"] // STEPS_EACH
        window = self._contents[start : start + WINDOW]
        return self._chance.sample(window, self._chance.randint(1, most))

    async def act(self) -> None:
        """One actor's life."""
        steps: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (3, self.push_and_seal),
            (8, self.push_and_forget),
            (3, self.begin_and_forget),
            (1, self.abort_any),
            (2, self.delete),
            (2, self.restore),
            (3, self.collect),
            (3, self.reap),
            (3, self.age),
            (1, self.leave_debris),
            (4, self.check_one),
        ]
        weights, choices = zip(*steps, strict=True)
        for _ in range(STEPS):
            (step,) = self._chance.choices(choices, weights)
            await step()
            self.done[step.__name__] += 1
            self.done["steps"] += 1

    @contextlib.contextmanager
    def flight(self, contents: list[bytes]) -> Iterator[None]:
        """While it lasts, no time passes for these."""
        digests = [uploading.digest_of(content) for content in contents]
        self._in_flight.update(digests)
        try:
            yield
        finally:
            self._in_flight.subtract(digests)

    async def push_and_seal(self) -> None:
        contents = self.some(3)
        with self.flight(contents):
            await self._push(contents)
            name = await self.node().sealing.draft(next(self._numbers))
            files = {f"f{n}": content for n, content in enumerate(contents)}
            await self.node().sealing.seal(name, files)  # BLOB_MISSING is a failure here
        self.sealed[name] = contents

    async def push_and_forget(self) -> None:
        contents = self.some(6)
        with self.flight(contents):
            await self._push(contents)

    async def _push(self, contents: list[bytes]) -> None:
        wanted = {uploading.digest_of(content): content for content in contents}
        missing = await self.node().replica.missing(list(wanted))
        if self._chance.random() < 0.5:
            small = [digest for digest in missing if len(wanted[digest]) <= PART]
            await self._write_batch([wanted[digest] for digest in small])
            missing = tuple(digest for digest in missing if digest not in small)
        for digest in missing:
            done = False
            while not done:
                with contextlib.suppress(*PASSING):
                    done = await self._upload(wanted[digest])

    async def _write_batch(self, contents: list[bytes]) -> None:
        if not contents:
            return
        small = [batches.SmallBlob(uploading.digest_of(each), each) for each in contents]
        batch = batches.Batch(tuple(small))
        written = await self.node().batches.write(uploading.CALLER, "", uploading.ACME, batch)
        assert {blob.fate.verdict for blob in written} == {batches.Verdict.OK}
        self.done["batch"] += 1

    async def _upload(self, content: bytes) -> bool:
        upload = await self.node().replica.start(content)
        if upload.state is uploads.UploadState.ACTIVE and upload.next_offset < len(content):
            pieces = uploading.pieces_of(content, upload.next_offset)
            if self._chance.random() < 0.2:
                await self.node().replica.cut(upload.name, pieces[:1])
                return False
            await self.node().replica.write(upload.name, pieces)
        done = await self.node().replica.complete(upload.name)
        return done.state is uploads.UploadState.COMMITTED

    async def begin_and_forget(self) -> None:
        (content,) = self.some(1)
        with contextlib.suppress(*PASSING):
            upload = await self.node().replica.start(content)
            pieces = uploading.pieces_of(content, upload.next_offset, finish=False)
            if upload.state is uploads.UploadState.ACTIVE:
                await self.node().replica.write(upload.name, pieces[:5])

    async def abort_any(self) -> None:
        opened = await self.node().replica.uploads.list(
            uploading.CALLER, uploading.ACME, pages.PageRequest(1000), uploads.OPEN
        )
        if opened.entries:
            _, upload = self._chance.choice(opened.entries)
            with contextlib.suppress(*PASSING):
                await self.node().replica.abort(upload.name)

    async def delete(self) -> None:
        alive = sorted(self.sealed.keys() - self.deleted, key=str)
        if alive:
            name = self._chance.choice(alive)
            self.deleted.add(name)
            await self.node().sealing.delete(name)

    async def restore(self) -> None:
        if self.deleted:
            name = self._chance.choice(sorted(self.deleted, key=str))
            with contextlib.suppress(errors.FailedPrecondition):  # its deletion is under way
                await self.node().sealing.restore(name)
                self.deleted.discard(name)

    async def collect(self) -> None:
        if self._chance.random() < 0.1:
            self._faulty.fail("delete")
        self.done["collected"] += await self.node().collect(self._chance.choice([2, 100]))

    async def reap(self) -> None:
        reaped = await self.node().reaper.round()
        self.done["expired"] += reaped.expired
        self.done["forgotten"] += reaped.forgotten
        self.done["objects reaped"] += reaped.objects
        self.done["packs rewritten"] += reaped.repacked

    async def age(self) -> None:
        """Let a month pass for all that no push under way counts on."""
        async with self._db.connection() as connection:
            now = await connection.fetchval("SELECT clock_timestamp()")
            left_out = [d.removeprefix("sha256:") for d, n in self._in_flight.items() if n > 0]
            async with connection.transaction():
                old = await connection.fetch(LOCK_BLOBS, left_out, now)
                await connection.execute(AGE_BLOBS, [row["digest"] for row in old])
            if not self._reading:  # nobody reads for a month
                async with connection.transaction():
                    retired = [row["storage_key"] for row in await connection.fetch(LOCK_RETIRED)]
                    await connection.execute(RETIRE_LONG_AGO, retired)
            await _age_uploads(connection, expire=self._chance.random() < 0.5)
            keys = [row["storage_key"] for row in await connection.fetch(KNOWN_KEYS)]
        for key in keys:
            if key in self._memory.modified_at:
                self._memory.modified_at[key] -= AGES

    async def leave_debris(self) -> None:
        """What a crash a month ago left: an object and a multipart upload without a row."""
        key = f"blobs/{self._chance.randbytes(16).hex()}"
        await self._memory.put(key, [b"x"], hashing.crc32c_of([b"x"]))
        multipart = await self._memory.start_multipart(key)
        for left in (key, multipart):
            self._memory.modified_at[left] -= AGES

    async def check_one(self) -> None:
        if self.sealed:
            await self.check(self._chance.choice(sorted(self.sealed, key=str)))

    async def check(self, name: names.VersionName) -> None:
        self._reading += 1
        try:
            for content in self.sealed[name]:
                assert await self.node().replica.read(uploading.digest_of(content)) == content
            await self._check_together([each for each in self.sealed[name] if len(each) <= PART])
        finally:
            self._reading -= 1

    async def _check_together(self, contents: list[bytes]) -> None:
        if contents:
            wanted = batches.Wanted(tuple(uploading.digest_of(each) for each in contents))
            found = await self.node().batches.read(uploading.CALLER, uploading.ACME, wanted)
            assert [blob.content for blob in found] == contents

    async def settle(self) -> None:
        """Let months pass, until neither collection nor reaping finds anything more."""
        reaper = reaping.Reaper(self._db, self._faulty)  # whose rounds see all there is
        while True:
            async with self._db.connection() as connection:
                await _age_uploads(connection, expire=True)
            await self.age()
            for key in self._memory.modified_at:
                self._memory.modified_at[key] -= AGES
            reaped = await reaper.round()
            if not await self.node().collect(100) and reaped == reaping.Reaped():
                return


async def _age_uploads(connection: database.Connection, *, expire: bool) -> None:
    async with connection.transaction():
        ids = [row["upload_id"] for row in await connection.fetch(LOCK_UPLOADS)]
        await connection.execute(AGE_UPLOADS, ids)
        if expire:
            await connection.execute(EXPIRE, ids)


def _size_of(seed: int) -> int:
    """One in ten takes several parts."""
    return 2 * PART + seed if seed % 10 == 0 else 1 + 7 * seed


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_reachable_is_ever_deleted_and_all_else_finally_is(
    db: database.Database,
    memory: memory_store.MemoryBlobStore,
    faulty: faulty_store.FaultyBlobStore,
    seed: int,
) -> None:
    storm = Storm(db, memory, faulty, random.Random(seed))
    await storm.nodes[0].sealing.make_model()
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for _ in range(ACTORS):
            group.create_task(storm.act())
    for node in storm.nodes:
        await node.replica.uploads.close()
    await storm.settle()
    for name in storm.sealed:
        await storm.check(name)
    async with db.connection() as connection:
        held = await connection.fetch("SELECT digest, storage_key FROM blob")
        reached = await connection.fetch("SELECT DISTINCT digest FROM version_file")
        assert {row["digest"] for row in held} == {row["digest"] for row in reached}
        packs = await connection.fetch("SELECT storage_key FROM pack WHERE retired_at IS NULL")
        for table in ("upload", "upload_part", "upload_claim"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608
        said, counted = await quotas.recount(connection, uploading.ACME)
        assert said == counted
    assert memory.objects.keys() == {row["storage_key"] for row in held}
    packed = {key for key in memory.objects if key.startswith("blobs/pack-")}
    assert {row["storage_key"] for row in packs} == packed
    assert memory.multiparts == {}
    print(dict(storm.done))  # noqa: T201 - figures
    happened = ("collected", "expired", "forgotten", "objects reaped", "batch", "delete", "restore")
    assert all(storm.done[what] > 10 for what in happened)
    assert storm.done["packs rewritten"] > 5
