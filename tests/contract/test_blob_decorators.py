"""What each decorator adds to a store."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from concurrent import futures

import google_crc32c
import pytest
from support import faulty_store

from modelkeep.blobs import metered, s3, verifying
from modelkeep.domain import errors

MIB = 1 << 20
BODY = bytes(range(256)) * 10_000
CRC32C = int(google_crc32c.value(BODY))


async def gather(chunks: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [chunk async for chunk in chunks]


@pytest.fixture
def faulty(bare: s3.S3BlobStore) -> faulty_store.FaultyBlobStore:
    return faulty_store.FaultyBlobStore(bare)


@pytest.fixture
def verified(
    faulty: faulty_store.FaultyBlobStore, checksum_pool: futures.Executor
) -> verifying.VerifyingBlobStore:
    return verifying.VerifyingBlobStore(faulty, checksum_pool)


async def test_a_wrong_body_never_leaves(
    faulty: faulty_store.FaultyBlobStore, verified: verifying.VerifyingBlobStore, key: str
) -> None:
    with pytest.raises(errors.DataLoss, match="send them again"):
        await verified.put(key, [BODY], CRC32C ^ 1)
    with pytest.raises(errors.DataLoss, match="part 3"):
        await verified.put_part(key, "upload", 3, [memoryview(BODY)], CRC32C ^ 1)
    assert faulty.calls == {}


@pytest.mark.parametrize("at_byte", [0, MIB, len(BODY) - 1])
async def test_rotten_bytes_are_found_before_the_last_chunk_is_given(
    faulty: faulty_store.FaultyBlobStore,
    verified: verifying.VerifyingBlobStore,
    key: str,
    at_byte: int,
) -> None:
    await verified.put(key, [BODY], CRC32C)
    faulty.flip_read(at_byte)
    chunks = verified.read(key, 0, len(BODY), MIB, CRC32C)
    assert [len(await anext(chunks)), len(await anext(chunks))] == [MIB, MIB]
    with pytest.raises(errors.DataLoss, match=key):
        await anext(chunks)
    assert b"".join(await gather(verified.read(key, 0, len(BODY), MIB, CRC32C))) == BODY


async def test_a_read_without_a_known_checksum_is_passed_on(
    faulty: faulty_store.FaultyBlobStore, verified: verifying.VerifyingBlobStore, key: str
) -> None:
    await verified.put(key, [BODY], CRC32C)
    faulty.flip_read(0)
    assert b"".join(await gather(verified.read(key, 0, 10, MIB))) == b"\1" + BODY[1:10]


async def test_meters_count_calls_bytes_seconds_and_failures(
    faulty: faulty_store.FaultyBlobStore, key: str
) -> None:
    counted = metered.MeteredBlobStore(faulty)
    await counted.put(key, [BODY, b""], CRC32C)
    faulty.fail("put")
    with pytest.raises(errors.Unavailable):
        await counted.put(key, [BODY], CRC32C)
    assert b"".join(await gather(counted.read(key, 1, 2 * MIB, MIB))) == BODY[1 : 2 * MIB + 1]
    put, read = counted.meters["put"], counted.meters["read"]
    assert (put.calls, put.failures, put.size_bytes) == (2, 1, len(BODY))
    assert (read.calls, read.failures, read.size_bytes) == (1, 0, 2 * MIB)
    assert put.seconds > 0
    assert read.seconds > 0


async def test_meters_do_not_count_what_the_consumer_takes_or_stops(
    bare: s3.S3BlobStore, key: str
) -> None:
    counted = metered.MeteredBlobStore(bare)
    await counted.put(key, [BODY], CRC32C)
    async with contextlib.aclosing(counted.read(key, 0, len(BODY), MIB)) as chunks:
        await anext(chunks)
        before = counted.meters["read"].seconds
        await asyncio.sleep(0.05)
    read = counted.meters["read"]
    assert (read.calls, read.failures, read.size_bytes) == (1, 0, MIB)
    assert read.seconds == before


async def test_a_fault_hits_the_call_it_was_meant_for(
    faulty: faulty_store.FaultyBlobStore, key: str
) -> None:
    faulty.fail("put", nth=2, done_before=True)
    await faulty.put(key, [b"first"], int(google_crc32c.value(b"first")))
    with pytest.raises(errors.Unavailable):
        await faulty.put(key, [BODY], CRC32C)
    assert (await faulty.stat(key)).size_bytes == len(BODY)
    faulty.cut_read(MIB)
    with pytest.raises(errors.Unavailable):
        await gather(faulty.read(key, 0, len(BODY), MIB))
    gate = faulty.hold("stat")
    held = asyncio.create_task(faulty.stat(key))
    await asyncio.sleep(0)
    assert not held.done()
    gate.set()
    await held
