"""Thousands of random operations at once: no quota is ever exceeded, and the counters stay true.

The quotas are small, so that much is refused; what is not refused never drifts. Somebody who looks
all the time sees each limit kept.
"""

import asyncio
import collections
import random
from collections.abc import Awaitable, Callable

import pytest
from support import faulty_store, sealing, uploading

from modelkeep.domain import batches, errors, names, pages, quotas, uploads
from modelkeep.service import batches as batch_service
from modelkeep.service import collecting, hashing, reaping
from modelkeep.service import namespaces as namespace_service
from modelkeep.storage import database
from modelkeep.storage import quotas as rows

CALLER, NOT_ONCE, ACME = uploading.CALLER, uploading.NOT_ONCE, uploading.ACME
PART = uploading.PART
Step = Callable[[], Awaitable[object]]
ACTORS, STEPS = 12, 150
LIMITS = quotas.Limits(stored_bytes=6 * PART, logical_bytes=20 * PART, open_uploads=6)
PASSING = (
    errors.Aborted,
    errors.OutOfRange,
    errors.FailedPrecondition,
    errors.NotFound,
    errors.Unavailable,
    errors.DataLoss,
)
AGE = """
UPDATE blob SET touched_at = now() - interval '30 days' WHERE digest IN (
    SELECT digest FROM blob FOR UPDATE SKIP LOCKED)"""
EXPIRE = """
UPDATE upload SET expires_at = now() - interval '1 day' WHERE upload_id IN (
    SELECT upload_id FROM upload WHERE state = 'active' FOR UPDATE SKIP LOCKED LIMIT 4)"""


class Storm:
    """What happens, and what must be true of it all the time."""

    def __init__(
        self, db: database.Database, faulty: faulty_store.FaultyBlobStore, chance: random.Random
    ) -> None:
        self._db = db
        self._chance = chance
        self._hasher = hashing.Hasher(1)
        self._replicas = [uploading.Replica(db, faulty) for _ in range(2)]
        self._batches = batch_service.Batches(
            db, faulty, self._replicas[0].uploads.memory, self._hasher
        )
        self._sealing = sealing.Sealing(db, faulty)
        self._collecting = collecting.Collecting(db, faulty)
        self._reaper = reaping.Reaper(db, faulty, reaping.Settings(expired=3))
        self._contents = [
            uploading.content_of(2 * PART + n if n % 8 == 0 else 1 + 97 * n, n) for n in range(60)
        ]
        self._numbers = iter(range(100_000))
        self._sealed: list[names.VersionName] = []
        self.refused: collections.Counter[str] = collections.Counter()
        self.done: collections.Counter[str] = collections.Counter()

    async def begin(self) -> None:
        await self._sealing.make_model()
        changed = {f"{quota}_quota": getattr(LIMITS, quota) for quota in quotas.Quota}
        await namespace_service.Namespaces(self._db).update(CALLER, NOT_ONCE, ACME, changed, "")

    async def act(self) -> None:
        """One actor's life."""
        steps: list[tuple[int, Step]] = [
            (6, self.push),
            (4, self.begin_upload),
            (1, self.lie),
            (5, self.write_batch),
            (4, self.seal),
            (2, self.delete_or_restore),
            (2, self.abort),
            (3, self.expire),
            (4, self.collect),
        ]
        weights, choices = zip(*steps, strict=True)
        for _ in range(STEPS):
            (step,) = self._chance.choices(choices, weights)
            try:
                await step()
            except errors.QuotaExceeded as error:
                self.refused[error.metadata["quota"]] += 1
            except PASSING:
                self.done["raced"] += 1
            else:
                self.done[step.__name__] += 1

    async def watch(self, over: asyncio.Event) -> None:
        """No limit is ever exceeded, in no moment that anybody can see."""
        while not over.is_set():
            usage = await self.usage()
            assert usage.stored_bytes + usage.reserved_bytes <= LIMITS.stored_bytes
            assert usage.logical_bytes <= LIMITS.logical_bytes
            assert usage.open_uploads <= LIMITS.open_uploads
            assert min(usage.stored_bytes, usage.reserved_bytes, usage.open_uploads) >= 0
            self.done["watched"] += 1
            await asyncio.sleep(0)

    async def usage(self) -> quotas.Usage:
        """Counted anew in one statement, so of one moment; the counters are not asked."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(rows.COUNT, ACME.namespace)
        return quotas.Usage(**dict(row or {}))

    def _replica(self) -> uploading.Replica:
        return self._chance.choice(self._replicas)

    def _one(self) -> bytes:
        return self._chance.choice(self._contents)

    async def push(self) -> None:
        await self._replica().push(self._one())

    async def begin_upload(self) -> None:
        await self._replica().start(self._one())

    async def lie(self) -> None:
        content = self._chance.randbytes(50)
        upload = await self._replica().start(content)
        await self._replica().write(upload.name, uploading.pieces_of(content[::-1]))
        await self._replica().complete(upload.name)

    async def write_batch(self) -> None:
        wanted = [each for each in self._contents if len(each) < PART]
        contents = self._chance.sample(wanted, self._chance.randint(1, 8))
        small = [batches.SmallBlob(uploading.digest_of(each), each) for each in contents]
        await self._batches.write(CALLER, "", ACME, batches.Batch(tuple(small)))

    async def seal(self) -> None:
        async with self._db.connection() as connection:
            held = await connection.fetch("SELECT encode(digest, 'hex') AS hex FROM blob")
        known = {f"sha256:{row['hex']}" for row in held}
        contents = [each for each in self._contents if uploading.digest_of(each) in known]
        if not contents:
            return
        chosen = self._chance.choices(contents, k=self._chance.randint(1, 12))
        name = await self._sealing.draft(next(self._numbers))
        await self._sealing.seal(name, {f"f{n}": content for n, content in enumerate(chosen)})
        self._sealed.append(name)

    async def delete_or_restore(self) -> None:
        if self._sealed:
            name = self._chance.choice(self._sealed)
            verb = self._sealing.delete if self._chance.random() < 0.5 else self._sealing.restore
            await verb(name)

    async def abort(self) -> None:
        page = pages.PageRequest(1000)
        opened = await self._replica().uploads.list(CALLER, ACME, page, uploads.OPEN)
        if opened.entries:
            await self._replica().abort(self._chance.choice(opened.entries)[1].name)

    async def expire(self) -> None:
        async with self._db.connection() as connection:
            await connection.execute(EXPIRE)
        self.done["expired"] += (await self._reaper.round()).expired

    async def collect(self) -> None:
        async with self._db.connection() as connection:
            await connection.execute(AGE)
        sweep = await self._collecting.collect(
            CALLER, NOT_ONCE, ACME, pages.PageRequest(100), dry_run=False
        )
        self.done["collected"] += len(sweep.found)

    async def close(self) -> None:
        for replica in self._replicas:
            await replica.uploads.close()
        self._hasher.close()


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_quota_is_exceeded_at_any_time_and_the_counters_never_drift(
    db: database.Database,
    faulty: faulty_store.FaultyBlobStore,
    seed: int,
) -> None:
    storm, over = Storm(db, faulty, random.Random(seed)), asyncio.Event()
    await storm.begin()
    async with asyncio.timeout(90), asyncio.TaskGroup() as watching:
        watching.create_task(storm.watch(over))
        async with asyncio.TaskGroup() as acting:
            for _ in range(ACTORS):
                acting.create_task(storm.act())
        over.set()
    await storm.close()
    async with db.transaction() as connection:
        said, counted = await rows.recount(connection, ACME)
        shown = await connection.fetchval("SELECT sum(size_bytes) FROM blob")
    assert said == counted
    assert said.stored_bytes == shown
    print(dict(storm.done), dict(storm.refused))  # noqa: T201 - figures
    assert set(storm.refused) == {quota.value for quota in quotas.Quota}
    happened = ("push", "write_batch", "seal", "abort", "expired", "collected", "watched")
    assert all(storm.done[what] > 10 for what in happened), storm.done
