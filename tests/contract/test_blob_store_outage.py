"""A store that dies under us, and comes back."""

import asyncio
import os
import signal
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import google_crc32c
import pytest
from support import services

from modelkeep.blobs import s3, s3_connection
from modelkeep.domain import errors
from modelkeep.local import seaweed

MIB = 1 << 20
PIECES = [bytes([n]) * MIB for n in range(64)]
WHOLE = b"".join(PIECES)
CRC32C = int(google_crc32c.value(WHOLE))

pytestmark = pytest.mark.slow


@pytest.fixture
async def mortal() -> AsyncIterator[seaweed.SeaweedFS]:
    """A store of this test's own, to be killed."""
    with services.scratch_directory() as data:
        mortal = seaweed.SeaweedFS(data, volume_size_mib=64, stop_timeout_s=0.5)
        await mortal.start()
        yield mortal
        await mortal.stop()


@pytest.fixture
async def blobs(mortal: seaweed.SeaweedFS) -> AsyncIterator[s3.S3BlobStore]:
    blobs = s3.S3BlobStore(
        s3_connection.S3Settings(
            endpoint=mortal.endpoint,
            access_key=mortal.access_key,
            secret_key=mortal.secret_key,
            bucket="outage",
            secure=False,
            threads=4,
            io_timeout_s=5.0,
        )
    )
    await blobs.ensure_bucket(create=True)
    yield blobs
    await blobs.close()


def kill(mortal: seaweed.SeaweedFS) -> None:
    assert mortal.child is not None
    os.kill(mortal.child.pid, signal.SIGKILL)


class _KillingHalfway(list[bytes]):
    """A body whose sender meets a dead store when it is half through."""

    def __init__(self, kill: Callable[[], None]) -> None:
        super().__init__(PIECES)
        self._kill = kill
        self._killed = False

    def __iter__(self) -> Iterator[bytes]:
        for number, piece in enumerate(super().__iter__()):
            sending = threading.current_thread().name.startswith("s3")
            if sending and number == len(self) // 2 and not self._killed:
                self._killed = True
                self._kill()
            yield piece


async def test_a_store_killed_in_a_put_is_unavailable_and_works_again_after_its_restart(
    mortal: seaweed.SeaweedFS, blobs: s3.S3BlobStore
) -> None:
    key = f"blobs/{uuid.uuid4()}"
    async with asyncio.timeout(20):
        with pytest.raises(errors.Unavailable, match=mortal.endpoint):
            await blobs.put(key, _KillingHalfway(lambda: kill(mortal)), CRC32C)
        with pytest.raises(errors.Unavailable):
            await blobs.check()
    await mortal.stop()
    await mortal.start()
    with pytest.raises(errors.NotFound):
        await blobs.stat(key)
    await blobs.put(key, PIECES, CRC32C)
    assert (await blobs.stat(key)).size_bytes == len(WHOLE)


async def test_a_store_killed_in_a_read_is_unavailable_and_works_again_after_its_restart(
    mortal: seaweed.SeaweedFS, blobs: s3.S3BlobStore
) -> None:
    key = f"blobs/{uuid.uuid4()}"
    await blobs.put(key, PIECES, CRC32C)
    chunks = blobs.read(key, 0, len(WHOLE), MIB)
    given = [await anext(chunks)]
    kill(mortal)
    async with asyncio.timeout(20):
        with pytest.raises(errors.Unavailable, match=mortal.endpoint):
            given.extend([chunk async for chunk in chunks])
    await mortal.stop()
    await mortal.start()
    again = [chunk async for chunk in blobs.read(key, 0, len(WHOLE), MIB)]
    assert b"".join(again) == WHOLE


async def test_parts_sent_before_an_outage_complete_after_it(
    mortal: seaweed.SeaweedFS, blobs: s3.S3BlobStore
) -> None:
    key = f"blobs/{uuid.uuid4()}"
    upload = await blobs.start_multipart(key)
    halves = [PIECES[:32], PIECES[32:]]
    checksums = [int(google_crc32c.value(b"".join(half))) for half in halves]
    first = await blobs.put_part(key, upload, 1, halves[0], checksums[0])
    kill(mortal)
    with pytest.raises(errors.Unavailable):
        await blobs.put_part(key, upload, 2, halves[1], checksums[1])
    await mortal.stop()
    await mortal.start()
    second = await blobs.put_part(key, upload, 2, halves[1], checksums[1])
    await blobs.complete_multipart(key, upload, [first, second])
    assert b"".join([chunk async for chunk in blobs.read(key, 0, len(WHOLE), MIB)]) == WHOLE
