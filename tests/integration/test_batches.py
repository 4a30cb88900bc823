"""Batches of small blobs on bad days: a store that fails for some, callers that vanish."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from support import faulty_store, memory_store, uploading

from modelkeep.domain import batches, errors
from modelkeep.service import batches as batch_service
from modelkeep.service import budget, hashing
from modelkeep.storage import database

OK, AWAY, LOST = batches.Verdict.OK, batches.Verdict.UNAVAILABLE, batches.Verdict.DATA_LOSS
NOT_FOUND = batches.Verdict.NOT_FOUND
CONTENTS = [uploading.content_of(100, seed) for seed in range(5)]
DIGESTS = [uploading.digest_of(content) for content in CONTENTS]
BATCH = batches.Batch(
    tuple(batches.SmallBlob(*each) for each in zip(DIGESTS, CONTENTS, strict=True))
)


BATCH_MEMORY_BYTES = 3 * BATCH.size_bytes


@pytest.fixture
def memory_budget() -> budget.MemoryBudget:
    return budget.MemoryBudget(BATCH_MEMORY_BYTES)


@pytest.fixture
def small(
    db: database.Database, faulty: faulty_store.FaultyBlobStore, memory_budget: budget.MemoryBudget
) -> batch_service.Batches:
    return batch_service.Batches(db, faulty, memory_budget, hashing.Hasher(1))


async def write(small: batch_service.Batches, request_id: str = "") -> list[batches.Verdict]:
    written = await small.write(uploading.CALLER, request_id, uploading.ACME, BATCH)
    assert [blob.digest for blob in written] == DIGESTS
    return [blob.fate.verdict for blob in written]


async def write_some(
    small: batch_service.Batches, contents: Sequence[bytes]
) -> list[batches.Verdict]:
    blobs = [batches.SmallBlob(uploading.digest_of(content), content) for content in contents]
    written = await small.write(uploading.CALLER, "", uploading.ACME, batches.Batch(tuple(blobs)))
    return [blob.fate.verdict for blob in written]


async def read(small: batch_service.Batches) -> tuple[batches.Read, ...]:
    return await small.read(uploading.CALLER, uploading.ACME, batches.Wanted(tuple(DIGESTS)))


async def test_a_batch_is_one_object_and_one_blob_is_an_object_of_its_own(
    small: batch_service.Batches, memory: memory_store.MemoryBlobStore, db: database.Database
) -> None:
    assert await write_some(small, CONTENTS[:1]) == [OK]
    (alone,) = memory.objects
    assert memory.objects[alone] == CONTENTS[0]
    assert await write(small) == [OK] * 5
    assert sorted(map(len, memory.objects.values())) == [100, 400]
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT storage_key, size_bytes FROM pack")
    assert [(row["storage_key"], row["size_bytes"]) for row in rows] == [
        (key, 400) for key in memory.objects if key != alone
    ]
    assert [blob.content for blob in await read(small)] == CONTENTS


async def test_a_blob_without_bytes_lies_in_a_pack_too(small: batch_service.Batches) -> None:
    contents = [b"", b"a", b"bc"]
    assert await write_some(small, contents) == [OK] * 3
    digests = tuple(uploading.digest_of(content) for content in contents)
    found = await small.read(uploading.CALLER, uploading.ACME, batches.Wanted(digests))
    assert [blob.content for blob in found] == contents


async def test_a_store_that_fails_is_told_blob_by_blob_and_the_same_request_tries_again(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    await write_some(small, CONTENTS[:2])
    faulty.fail("put")
    assert await write(small, "r") == [OK, OK, AWAY, AWAY, AWAY]
    assert [blob.fate.verdict for blob in await read(small)] == [OK, OK, *[NOT_FOUND] * 3]
    # That answer was not final: the same request stores the rest, and nothing twice.
    assert await write(small, "r") == [OK] * 5
    assert (faulty.calls["put"], len(memory.objects)) == (3, 2)
    # Now it is.
    assert await write(small, "r") == [OK] * 5
    assert faulty.calls["put"] == 3


async def test_what_lies_side_by_side_is_read_by_one_request(
    small: batch_service.Batches, faulty: faulty_store.FaultyBlobStore
) -> None:
    await write(small)
    assert [blob.content for blob in await read(small)] == CONTENTS
    assert faulty.calls["read"] == 1
    some = batches.Wanted((DIGESTS[3], DIGESTS[0]))  # a gap is cheaper than another request
    found = await small.read(uploading.CALLER, uploading.ACME, some)
    assert [blob.content for blob in found] == [CONTENTS[3], CONTENTS[0]]
    assert faulty.calls["read"] == 2


async def test_far_apart_means_two_requests(
    small: batch_service.Batches, faulty: faulty_store.FaultyBlobStore
) -> None:
    contents = [b"first", uploading.content_of(200_000), b"last"]
    await write_some(small, contents)
    wanted = batches.Wanted(tuple(uploading.digest_of(content) for content in contents[::2]))
    found = await small.read(uploading.CALLER, uploading.ACME, wanted)
    assert [blob.content for blob in found] == contents[::2]
    assert faulty.calls["read"] == 2


@pytest.mark.parametrize(
    ("error", "verdict"), [(None, AWAY), (errors.NotFound("gone"), LOST)], ids=["away", "lost"]
)
async def test_what_the_store_cannot_give_is_told_blob_by_blob(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    error: Exception | None,
    verdict: batches.Verdict,
) -> None:
    await write_some(small, CONTENTS[:3])
    await write(small)
    # Sorted by key, so that either pack may be read first.
    faulty.cut_read(0, nth=1, error=error)
    found = await read(small)
    failed = [blob.fate.verdict is verdict for blob in found]
    assert failed in ([True] * 3 + [False] * 2, [False] * 3 + [True] * 2)
    assert [blob.content for blob in found] == [
        b"" if is_failed else content for content, is_failed in zip(CONTENTS, failed, strict=True)
    ]


async def test_a_wrong_byte_in_a_pack_costs_one_blob(
    small: batch_service.Batches, memory: memory_store.MemoryBlobStore
) -> None:
    await write(small)
    (key,) = memory.objects
    whole = memory.objects[key]
    memory.objects[key] = whole[:250] + bytes([whole[250] ^ 1]) + whole[251:]
    assert [blob.fate.verdict for blob in await read(small)] == [OK, OK, LOST, OK, OK]


async def test_a_pack_that_ends_too_early_costs_what_lay_behind(
    small: batch_service.Batches, memory: memory_store.MemoryBlobStore
) -> None:
    await write(small)
    (key,) = memory.objects
    memory.objects[key] = memory.objects[key][:350]
    found = await read(small)
    assert [blob.fate.verdict for blob in found] == [OK, OK, OK, LOST, LOST]
    assert [blob.content for blob in found[:3]] == CONTENTS[:3]


async def test_the_loser_of_a_race_deletes_what_it_stored(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
    db: database.Database,
) -> None:
    gate = faulty.hold("put")
    late = asyncio.create_task(write(small))
    await uploading.until(lambda: faulty.calls.get("put", 0) == 1)
    # The other batch finds nothing yet, stores everything and commits first.
    assert await write(small_again(small)) == [OK] * 5
    kept = set(memory.objects)
    gate.set()
    assert await late == [OK] * 5
    assert set(memory.objects) == kept
    assert faulty.calls["delete"] == 1
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM pack") == 1


async def test_who_loses_half_of_a_race_keeps_a_pack_with_holes(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    gate = faulty.hold("put")
    late = asyncio.create_task(write(small))
    await uploading.until(lambda: faulty.calls.get("put", 0) == 1)
    assert await write_some(small_again(small), CONTENTS[1:4]) == [OK] * 3
    gate.set()
    assert await late == [OK] * 5
    assert sorted(map(len, memory.objects.values())) == [300, 500]
    assert [blob.content for blob in await read(small)] == CONTENTS


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
    faulty.hold("put")
    writing = asyncio.create_task(write(small))
    await uploading.until(lambda: faulty.calls.get("put", 0) == 1)
    assert memory_budget.used_bytes == BATCH_MEMORY_BYTES
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert memory.objects == {}
    assert memory_budget.used_bytes == 0
    assert [blob.fate.verdict for blob in await read(small)] == [NOT_FOUND] * 5


async def test_batches_wait_for_memory(
    small: batch_service.Batches,
    faulty: faulty_store.FaultyBlobStore,
    memory_budget: budget.MemoryBudget,
) -> None:
    gate = faulty.hold("put")
    first = asyncio.create_task(write(small))
    await uploading.until(lambda: faulty.calls.get("put", 0) == 1)
    second = asyncio.create_task(write(small))
    await uploading.until(lambda: memory_budget.waiting == 1)
    gate.set()
    assert await first == await second == [OK] * 5
    # The second one found everything there.
    assert faulty.calls["put"] == 1
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
