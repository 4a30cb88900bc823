"""Many uploads at once, cut at random, over two replicas with little memory."""

import asyncio
import contextlib
import random

import pytest
from support import faulty_store, memory_store, uploading

from modelkeep.domain import errors, uploads
from modelkeep.storage import database

PART = uploading.PART
BLOBS = 12


class Storm:
    """Pushes that never give up, through replicas that are cut and a store that fails."""

    def __init__(
        self,
        replicas: list[uploading.Replica],
        faulty: faulty_store.FaultyBlobStore,
        chance: random.Random,
    ) -> None:
        self._replicas = replicas
        self._faulty = faulty
        self._chance = chance

    async def push(self, content: bytes) -> None:
        done = False
        while not done:
            replica = self._chance.choice(self._replicas)
            with contextlib.suppress(
                errors.Aborted, errors.OutOfRange, errors.FailedPrecondition, errors.Unavailable
            ):
                done = await self._step(replica, content)

    async def _step(self, replica: uploading.Replica, content: bytes) -> bool:
        upload = await replica.start(content)
        if upload.state is uploads.UploadState.ACTIVE and upload.next_offset < len(content):
            pieces = uploading.pieces_of(content, upload.next_offset)
            if self._chance.random() < 0.5:
                await replica.cut(upload.name, pieces[: self._chance.randrange(len(pieces))])
                return False
            if self._chance.random() < 0.2:
                self._faulty.fail(
                    self._chance.choice(["put", "put_part", "complete_multipart", "stat"])
                )
            await replica.write(upload.name, pieces)
        return (await replica.complete(upload.name)).state is uploads.UploadState.COMMITTED


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_a_storm_of_cut_uploads_commits_each_blob_once_and_frees_all_memory(
    db: database.Database,
    memory: memory_store.MemoryBlobStore,
    faulty: faulty_store.FaultyBlobStore,
    seed: int,
) -> None:
    chance = random.Random(seed)
    settings = uploading.small_settings(memory_bytes=3 * PART)
    replicas = [uploading.Replica(db, faulty, settings) for _ in range(2)]
    contents = [uploading.content_of(chance.randrange(4 * PART), seed=n) for n in range(BLOBS)]
    storm = Storm(replicas, faulty, chance)
    async with asyncio.timeout(90):  # each is pushed twice at once
        await asyncio.gather(*(storm.push(content) for content in contents * 2))
    for replica in replicas:
        await replica.uploads.close()
        assert (replica.uploads.memory.used_bytes, replica.uploads.memory.waiting) == (0, 0)
    for content in contents:
        assert await replicas[0].read(uploading.digest_of(content)) == content
    async with db.connection() as connection:
        keys = [row["storage_key"] for row in await connection.fetch("SELECT * FROM blob")]
        assert await connection.fetchval("SELECT count(*) FROM upload_part") == 0
        committed = await connection.fetchval(
            "SELECT count(*) FROM audit_event WHERE action = 'upload.committed'"
        )
    assert len(keys) == committed == BLOBS
    assert set(keys) <= memory.objects.keys()
