"""Batches of small blobs on bad days: a store that fails for some, callers that vanish."""

import asyncio
import contextlib

import pytest
from support import faulty_store, memory_store, uploading

from modelkeep.domain import batches, errors
from modelkeep.service import batches as batch_service
from modelkeep.service import budget, hashing
from modelkeep.storage import database

OK, AWAY, LOST = batches.Verdict.OK, batches.Verdict.UNAVAILABLE, batches.Verdict.DATA_LOSS
CONTENTS = [uploading.content_of(100, seed) for seed in range(5)]
DIGESTS = [uploading.digest_of(content) for content in CONTENTS]
BATCH = batches.Batch(
    tuple(batches.SmallBlob(*each) for each in zip(DIGESTS, CONTENTS, strict=True))
)


@pytest.fixture
def memory_budget() -> budget.MemoryBudget:
    return budget.MemoryBudget(2 * BATCH.size_bytes)


@pytest.fixture
def small(
    db: database.Database, faulty: faulty_store.FaultyBlobStore, memory_budget: budget.MemoryBudget
) -> batch_service.Batches:
    return batch_service.Batches(db, faulty, memory_budget, hashing.Hasher(1))


async def write(small: batch_service.Batches, request_id: str = "") -> list[batches.Verdict]:
    written = await small.write(uploading.CALLER, request_id, uploading.ACME, BATCH)
    assert [blob.digest for blob in written] == DIGESTS
    return [blob.fate.verdict for blob in written]


async def read(small: batch_service.Batches) -> tuple[batches.Read, ...]:
    return await small.read(uploading.CALLER, uploading.ACME, batches.Wanted(tuple(DIGESTS)))


async def test_a_store_that_fails_for_some_keeps_the_others(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    faulty.fail("put", nth=2)
    faulty.fail("put", nth=4)
    assert await write(small, "r") == [OK, AWAY, OK, AWAY, OK]
    assert len(memory.objects) == 3
    # That answer was not final: the same request stores the rest, and nothing twice.
    assert await write(small, "r") == [OK] * 5
    assert (faulty.calls["put"], len(memory.objects)) == (7, 5)
    # Now it is.
    assert await write(small, "r") == [OK] * 5
    assert faulty.calls["put"] == 7


async def test_a_store_that_is_away_is_told_blob_by_blob(
    small: batch_service.Batches, faulty: faulty_store.FaultyBlobStore
) -> None:
    for n in range(len(CONTENTS)):
        faulty.fail("put", nth=n + 1)
    assert await write(small) == [AWAY] * 5
    assert [blob.fate.verdict for blob in await read(small)] == [batches.Verdict.NOT_FOUND] * 5


async def test_what_the_store_cannot_give_is_told_blob_by_blob(
    small: batch_service.Batches, faulty: faulty_store.FaultyBlobStore
) -> None:
    await write(small)
    faulty.cut_read(0, nth=1)
    faulty.cut_read(0, nth=3, error=errors.NotFound("gone"))
    found = await read(small)
    assert [blob.fate.verdict for blob in found] == [AWAY, OK, LOST, OK, OK]
    assert [blob.content for blob in found] == [
        content if blob.fate.verdict is OK else b""
        for content, blob in zip(CONTENTS, found, strict=True)
    ]


async def test_the_loser_of_a_race_deletes_what_it_stored(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    gates = [faulty.hold("put", nth=n + 1) for n in range(len(CONTENTS))]
    late = asyncio.create_task(write(small))
    await uploading.until(lambda: faulty.calls.get("put", 0) == 5)
    # The other batch finds nothing yet, stores everything and commits first.
    assert await write(small_again(small)) == [OK] * 5
    kept = set(memory.objects)
    for gate in gates:
        gate.set()
    assert await late == [OK] * 5
    assert set(memory.objects) == kept
    assert faulty.calls["delete"] == 5


def small_again(small: batch_service.Batches) -> batch_service.Batches:
    """Another replica: with a budget and slots of its own."""
    return batch_service.Batches(
        small._db, small._writing._blobs, budget.MemoryBudget(10**6), hashing.Hasher(1)
    )


async def test_a_caller_who_vanishes_leaves_no_row_no_object_and_no_reservation(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
    memory_budget: budget.MemoryBudget,
) -> None:
    faulty.hold("put", nth=3)
    writing = asyncio.create_task(write(small))
    await uploading.until(lambda: len(memory.objects) == 4)
    assert memory_budget.used_bytes == 2 * BATCH.size_bytes
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert memory.objects == {}
    assert memory_budget.used_bytes == 0
    assert [blob.fate.verdict for blob in await read(small)] == [batches.Verdict.NOT_FOUND] * 5


async def test_batches_wait_for_memory(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory_budget: budget.MemoryBudget,
) -> None:
    gate = faulty.hold("put")
    first = asyncio.create_task(write(small))
    await uploading.until(lambda: faulty.calls.get("put", 0) == 5)
    second = asyncio.create_task(write(small))
    await uploading.until(lambda: memory_budget.waiting == 1)
    gate.set()
    assert await first == await second == [OK] * 5
    # The second one found everything there.
    assert faulty.calls["put"] == 5
    assert memory_budget.used_bytes == 0


async def test_a_database_that_fails_leaves_no_object(
    small: batch_service.Batches,
    memory: memory_store.MemoryBlobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*_: object) -> None:
        raise errors.Unavailable("the database was told to fail")

    with monkeypatch.context() as patched:
        patched.setattr(small._changes, "apply", away)
        with pytest.raises(errors.Unavailable):
            await write(small)
    assert memory.objects == {}
    assert await write(small) == [OK] * 5
