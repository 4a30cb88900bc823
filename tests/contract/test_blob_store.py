"""What every blob store does, whatever stands behind it and around it."""

import asyncio
import contextlib
import datetime
import itertools
import os
import random
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures

import google_crc32c
import pytest

from modelkeep.blobs import metered, s3, store, verifying
from modelkeep.domain import errors

MIB = 1 << 20
PART_BYTES = 5 * MIB  # the smallest that S3 allows before the last
CLOCKS = datetime.timedelta(minutes=1)  # how far the store's clock may be from ours
BODY = random.Random(7).randbytes(3 * MIB + 12_345)


def crc32c(*buffers: bytes) -> int:
    total = 0
    for buffer in buffers:
        total = google_crc32c.extend(total, buffer)
    return total


async def put(blobs: store.BlobStore, key: str, *buffers: bytes) -> None:
    await blobs.put(key, buffers, crc32c(*buffers))


async def read(
    blobs: store.BlobStore, key: str, offset: int, length: int, chunk_bytes: int = MIB
) -> list[bytes]:
    return [chunk async for chunk in blobs.read(key, offset, length, chunk_bytes)]


async def put_part(
    blobs: store.BlobStore, key: str, upload: str, number: int, body: bytes
) -> store.PartTag:
    return await blobs.put_part(key, upload, number, [body], crc32c(body))


async def all_threads_are_free(bare: s3.S3BlobStore) -> None:
    """Fails unless as many jobs as there are threads can meet."""
    threads = bare._settings.threads
    meeting = threading.Barrier(threads)
    jobs = [bare._pool.submit(meeting.wait, 5) for _ in range(threads)]
    await asyncio.gather(*(asyncio.wrap_future(job) for job in jobs))


@pytest.mark.parametrize("size", [0, 1, 2, MIB - 1, MIB, MIB + 1, 16 * MIB])
async def test_what_was_put_is_read_back(blobs: store.BlobStore, key: str, size: int) -> None:
    body = random.Random(size).randbytes(size)
    await put(blobs, key, body)
    assert await blobs.stat(key) == store.StoredObject(key, size)
    chunks = await read(blobs, key, 0, size)
    assert b"".join(chunks) == body
    assert [len(chunk) for chunk in chunks[:-1]] == [MIB] * (len(chunks) - 1)


async def test_a_body_of_many_odd_buffers_arrives_in_order(
    blobs: store.BlobStore, key: str
) -> None:
    cuts = [0, 1, 1, 4097, MIB, 2 * MIB + 3, len(BODY)]
    pieces = [BODY[start:end] for start, end in itertools.pairwise(cuts)]
    views = [memoryview(piece) for piece in pieces]
    await blobs.put(key, views, crc32c(BODY))
    assert b"".join(await read(blobs, key, 0, len(BODY))) == BODY


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 1),
        (0, len(BODY)),
        (1, len(BODY) - 1),
        (len(BODY) - 1, 1),
        (MIB - 1, 2),
        (MIB, MIB),
        (12_345, 2 * MIB + 1),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [4097, MIB, 4 * MIB])
async def test_a_range_is_exact(
    blobs: store.BlobStore, bare: s3.S3BlobStore, offset: int, length: int, chunk_bytes: int
) -> None:
    await _put_once(bare, "blobs/ranges", BODY)
    chunks = await read(blobs, "blobs/ranges", offset, length, chunk_bytes)
    assert b"".join(chunks) == BODY[offset : offset + length]
    assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_bytes}
    assert 0 < len(chunks[-1]) <= chunk_bytes


async def _put_once(bare: s3.S3BlobStore, key: str, body: bytes) -> None:
    try:
        await bare.stat(key)
    except errors.NotFound:
        await put(bare, key, body)


async def test_an_empty_range_yields_nothing(blobs: store.BlobStore, key: str) -> None:
    assert await read(blobs, key, 0, 0) == []


@pytest.mark.parametrize(("offset", "length"), [(0, 11), (9, 2), (10, 1), (1_000, 1)])
async def test_a_range_past_the_end_is_data_loss_before_any_byte(
    blobs: store.BlobStore, key: str, offset: int, length: int
) -> None:
    await put(blobs, key, b"0123456789")
    with pytest.raises(errors.DataLoss, match=key):
        await anext(blobs.read(key, offset, length, MIB))


async def test_putting_again_replaces(blobs: store.BlobStore, key: str) -> None:
    await put(blobs, key, b"the first")
    await put(blobs, key, b"the second")
    assert b"".join(await read(blobs, key, 0, 10)) == b"the second"


async def test_parts_sent_out_of_order_make_the_object(blobs: store.BlobStore, key: str) -> None:
    bodies = [random.Random(n).randbytes(PART_BYTES) for n in range(3)] + [b"the end"]
    upload = await blobs.start_multipart(key)
    numbers = [4, 2, 3, 1]
    tags = [await put_part(blobs, key, upload, n, bodies[n - 1]) for n in numbers]
    assert [tag.number for tag in tags] == numbers
    await blobs.complete_multipart(key, upload, tags)
    whole = b"".join(bodies)
    assert b"".join(await read(blobs, key, 0, len(whole))) == whole


async def test_parts_sent_at_once_make_the_object(blobs: store.BlobStore, key: str) -> None:
    bodies = [random.Random(n).randbytes(PART_BYTES) for n in range(6)]
    upload = await blobs.start_multipart(key)
    sent = [put_part(blobs, key, upload, n, body) for n, body in enumerate(bodies, 1)]
    await blobs.complete_multipart(key, upload, await asyncio.gather(*sent))
    assert b"".join(await read(blobs, key, 0, 6 * PART_BYTES)) == b"".join(bodies)


async def test_a_part_sent_again_replaces_the_first(blobs: store.BlobStore, key: str) -> None:
    upload = await blobs.start_multipart(key)
    await put_part(blobs, key, upload, 1, b"the first")
    tag = await put_part(blobs, key, upload, 1, b"the second")
    await blobs.complete_multipart(key, upload, [tag])
    assert b"".join(await read(blobs, key, 0, 10)) == b"the second"


async def test_nothing_is_visible_before_completion(blobs: store.BlobStore, key: str) -> None:
    upload = await blobs.start_multipart(key)
    await put_part(blobs, key, upload, 1, b"hidden")
    with pytest.raises(errors.NotFound):
        await blobs.stat(key)
    assert await blobs.list_page(key, "", 10) == []
    await blobs.abort_multipart(key, upload)


async def test_completing_twice_is_completing_once(blobs: store.BlobStore, key: str) -> None:
    upload = await blobs.start_multipart(key)
    tag = await put_part(blobs, key, upload, 1, b"once")
    await blobs.complete_multipart(key, upload, [tag])
    await blobs.complete_multipart(key, upload, [tag])
    assert b"".join(await read(blobs, key, 0, 4)) == b"once"


async def test_completing_with_another_parts_tag_is_refused(
    blobs: store.BlobStore, key: str
) -> None:
    upload = await blobs.start_multipart(key)
    await put_part(blobs, key, upload, 1, b"mine")
    with pytest.raises(errors.FailedPrecondition):
        await blobs.complete_multipart(key, upload, [store.PartTag(1, "0" * 32, crc32c(b"mine"))])
    await blobs.abort_multipart(key, upload)


async def test_an_aborted_upload_is_gone(blobs: store.BlobStore, key: str) -> None:
    upload = await blobs.start_multipart(key)
    tag = await put_part(blobs, key, upload, 1, b"gone")
    await blobs.abort_multipart(key, upload)
    await blobs.abort_multipart(key, upload)
    with pytest.raises(errors.NotFound):
        await put_part(blobs, key, upload, 2, b"late")
    with pytest.raises(errors.NotFound):
        await blobs.complete_multipart(key, upload, [tag])


async def test_aborting_after_completion_leaves_the_object(
    blobs: store.BlobStore, key: str
) -> None:
    upload = await blobs.start_multipart(key)
    tag = await put_part(blobs, key, upload, 1, b"kept")
    await blobs.complete_multipart(key, upload, [tag])
    await blobs.abort_multipart(key, upload)
    assert b"".join(await read(blobs, key, 0, 4)) == b"kept"


async def copy(blobs: store.BlobStore, source: str, key: str, size_bytes: int) -> list[int]:
    return [copied async for copied in blobs.copy(source, key, size_bytes)]


@pytest.mark.parametrize("parts", [[1], [PART_BYTES], [PART_BYTES, 1], [PART_BYTES] * 2 + [MIB]])
async def test_a_copy_has_the_bytes_and_stays_when_its_source_goes(
    blobs: store.BlobStore, key: str, parts: list[int]
) -> None:
    body = random.Random(len(parts)).randbytes(sum(parts))
    await put(blobs, key, body)
    assert await copy(blobs, key, f"{key}-copy", len(body)) == parts
    await blobs.delete(key)
    assert b"".join(await read(blobs, f"{key}-copy", 0, len(body))) == body
    assert (await blobs.stat(f"{key}-copy")).size_bytes == len(body)


async def test_a_copy_replaces_what_was_there(blobs: store.BlobStore, key: str) -> None:
    await put(blobs, key, b"new")
    await put(blobs, f"{key}-copy", b"what was there")
    await copy(blobs, key, f"{key}-copy", 3)
    assert await read(blobs, f"{key}-copy", 0, 3) == [b"new"]


@pytest.mark.parametrize("size_bytes", [3, PART_BYTES + 3])
async def test_a_copy_of_nothing_is_not_found_and_leaves_nothing(
    blobs: store.BlobStore, key: str, size_bytes: int
) -> None:
    with pytest.raises(errors.NotFound):
        await copy(blobs, key, f"{key}-copy", size_bytes)
    with pytest.raises(errors.NotFound):
        await blobs.stat(f"{key}-copy")
    assert not await open_multiparts(blobs, f"{key}-copy", 10)


async def test_a_copy_that_is_given_up_leaves_nothing(blobs: store.BlobStore, key: str) -> None:
    body = bytes(2 * PART_BYTES)
    await put(blobs, key, body)
    steps = blobs.copy(key, f"{key}-copy", len(body))
    assert await anext(steps) == PART_BYTES
    await steps.aclose()
    with pytest.raises(errors.NotFound):
        await blobs.stat(f"{key}-copy")
    assert not await open_multiparts(blobs, f"{key}-copy", 10)


async def test_deleting_twice_is_deleting_once(blobs: store.BlobStore, key: str) -> None:
    await put(blobs, key, b"bye")
    await blobs.delete(key)
    await blobs.delete(key)
    with pytest.raises(errors.NotFound):
        await blobs.stat(key)


async def test_a_missing_object_is_not_found(blobs: store.BlobStore, key: str) -> None:
    with pytest.raises(errors.NotFound):
        await blobs.stat(key)
    with pytest.raises(errors.NotFound):
        await read(blobs, key, 0, 1)


async def test_a_list_comes_in_pages_by_key(blobs: store.BlobStore) -> None:
    prefix = f"blobs/{uuid.uuid4()}-"
    keys = [f"{prefix}{n}" for n in (3, 1, 5, 2, 4)]
    for key in keys:
        await put(blobs, key, b"x")
    pages, after = [], ""
    while page := await blobs.list_page(prefix, after, 2):
        pages.append([entry.key for entry in page])
        after = page[-1].key
    keys.sort()
    assert pages == [keys[:2], keys[2:4], keys[4:]]


async def test_an_object_tells_when_it_was_stored(blobs: store.BlobStore, key: str) -> None:
    before = datetime.datetime.now(datetime.UTC)
    await put(blobs, key, b"x")
    after = datetime.datetime.now(datetime.UTC)
    (listed,) = await blobs.list_page(key, "", 10)
    for found in (listed.modified_at, (await blobs.stat(key)).modified_at):
        assert found is not None
        assert before - CLOCKS < found < after + CLOCKS


async def open_multiparts(
    blobs: store.BlobStore, prefix: str, limit: int
) -> list[store.OpenMultipart]:
    """All of them, page by page."""
    page = await blobs.list_multiparts(prefix, "", limit)
    found = list(page.entries)
    while page.mark:
        page = await blobs.list_multiparts(prefix, page.mark, limit)
        assert len(page.entries) <= limit
        found += page.entries
    return found


async def test_open_multiparts_are_listed_until_they_end(blobs: store.BlobStore) -> None:
    before = datetime.datetime.now(datetime.UTC)
    keys = [f"blobs/{uuid.uuid4()}" for _ in range(5)]
    keys.append(keys[0])  # two of one key
    opened = [store.OpenMultipart(key, await blobs.start_multipart(key)) for key in keys]
    for limit in (2, 3, 1000):
        found = await open_multiparts(blobs, "", limit)
        ours = [entry for entry in found if entry in opened]
        assert {entry.multipart_id for entry in ours} == {one.multipart_id for one in opened}
        for entry in ours:
            assert entry.started_at is not None
            assert before - CLOCKS < entry.started_at < before + 10 * CLOCKS
    of_first = await open_multiparts(blobs, keys[0], 1)
    assert {entry.key for entry in of_first} == {keys[0]}
    assert len(of_first) == 2
    for one in opened:
        await blobs.abort_multipart(one.key, one.multipart_id)
    assert not {entry.key for entry in await open_multiparts(blobs, "", 1000)} & set(keys)


async def test_a_completed_multipart_is_not_open(blobs: store.BlobStore, key: str) -> None:
    upload = await blobs.start_multipart(key)
    tag = await put_part(blobs, key, upload, 1, b"done")
    await blobs.complete_multipart(key, upload, [tag])
    assert await open_multiparts(blobs, key, 10) == []


@pytest.mark.parametrize(
    "shape", ["blobs/{}", "blobs/{}.part", "blobs/ab/cd/{}", "blobs/{} a+b=c~ü"]
)
async def test_keys_of_any_shape_come_back_as_they_are(blobs: store.BlobStore, shape: str) -> None:
    key = shape.format(uuid.uuid4())
    await put(blobs, key, b"shaped")
    assert b"".join(await read(blobs, key, 0, 6)) == b"shaped"
    assert [entry.key for entry in await blobs.list_page(key, "", 10)] == [key]


async def test_a_body_with_another_checksum_is_refused(blobs: store.BlobStore, key: str) -> None:
    with pytest.raises(errors.DataLoss, match="send them again"):
        await blobs.put(key, [BODY], crc32c(BODY) ^ 1)
    with pytest.raises(errors.NotFound):
        await blobs.stat(key)


async def test_a_part_with_another_checksum_is_refused(blobs: store.BlobStore, key: str) -> None:
    upload = await blobs.start_multipart(key)
    with pytest.raises(errors.DataLoss, match="send them again"):
        await blobs.put_part(key, upload, 1, [BODY], crc32c(BODY) ^ 1)
    tag = await put_part(blobs, key, upload, 1, BODY)
    await blobs.complete_multipart(key, upload, [tag])
    assert b"".join(await read(blobs, key, 0, len(BODY))) == BODY


async def test_a_read_with_its_checksum_is_the_same_read(blobs: store.BlobStore, key: str) -> None:
    await put(blobs, key, BODY)
    chunks = [chunk async for chunk in blobs.read(key, 0, len(BODY), MIB, crc32c(BODY))]
    assert b"".join(chunks) == BODY


async def test_closing_a_read_early_frees_its_thread(
    blobs: store.BlobStore, bare: s3.S3BlobStore
) -> None:
    await _put_once(bare, "blobs/large", os.urandom(32 * MIB))
    for _ in range(2 * bare._settings.threads):
        async with contextlib.aclosing(blobs.read("blobs/large", 0, 32 * MIB, MIB)) as chunks:
            await anext(chunks)
    await all_threads_are_free(bare)
    assert len(b"".join(await read(blobs, "blobs/large", 0, 32 * MIB))) == 32 * MIB


async def test_cancelling_a_reader_frees_its_thread(
    blobs: store.BlobStore, bare: s3.S3BlobStore
) -> None:
    await _put_once(bare, "blobs/large", os.urandom(32 * MIB))
    started = asyncio.Event()

    async def consume() -> None:
        async with contextlib.aclosing(blobs.read("blobs/large", 0, 32 * MIB, 4096)) as chunks:
            async for _ in chunks:
                started.set()

    readers = [asyncio.create_task(consume()) for _ in range(bare._settings.threads)]
    await started.wait()
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert all(reader.cancelled() for reader in readers)
    await all_threads_are_free(bare)


async def test_a_reader_that_pauses_holds_no_thread(
    blobs: store.BlobStore, bare: s3.S3BlobStore
) -> None:
    await _put_once(bare, "blobs/large", os.urandom(32 * MIB))
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2 * bare._settings.threads):
            chunks = blobs.read("blobs/large", 0, 32 * MIB, MIB)
            await anext(await stack.enter_async_context(contextlib.aclosing(chunks)))
        await all_threads_are_free(bare)


class _Announced(list[bytes]):
    """A body that tells when a thread asks for its pieces, that is, when it is being sent."""

    def __init__(self, pieces: Iterable[bytes], announce: Callable[[], object]) -> None:
        super().__init__(pieces)
        self._announce = announce

    def __iter__(self) -> Iterator[bytes]:
        if threading.current_thread().name.startswith("s3"):
            self._announce()
        return super().__iter__()


async def test_a_cancelled_put_leaves_the_old_object_or_the_new_one(
    blobs: store.BlobStore, bare: s3.S3BlobStore, key: str
) -> None:
    await put(blobs, key, b"old")
    loop, started = asyncio.get_running_loop(), asyncio.Event()
    pieces = [bytes([n]) * MIB for n in range(48)]
    body = _Announced(pieces, lambda: loop.call_soon_threadsafe(started.set))
    sending = asyncio.create_task(blobs.put(key, body, crc32c(*pieces)))
    await started.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert all(call.done() for call in bare._running), "the body was still being sent"
    assert (await blobs.stat(key)).size_bytes in {3, 48 * MIB}
    await put(blobs, key, b"newer")
    assert b"".join(await read(blobs, key, 0, 5)) == b"newer"


async def test_many_calls_share_few_threads(blobs: store.BlobStore, bare: s3.S3BlobStore) -> None:
    keys = [f"blobs/{uuid.uuid4()}" for _ in range(32)]

    async def round_trip(key: str) -> bytes:
        await put(blobs, key, key.encode() * 10_000)
        return b"".join(await read(blobs, key, 0, len(key)))

    answers = await asyncio.gather(*(round_trip(key) for key in keys))
    assert answers == [key.encode() for key in keys]
    assert len(bare._pool._threads) <= bare._settings.threads


async def test_the_loop_runs_on_while_a_large_body_is_sent(
    bare: s3.S3BlobStore, checksum_pool: futures.Executor, key: str
) -> None:
    blobs = verifying.VerifyingBlobStore(metered.MeteredBlobStore(bare), checksum_pool)
    body = [BODY[:MIB]] * 256
    loop, lags = asyncio.get_running_loop(), []
    sending = asyncio.create_task(blobs.put(key, body, crc32c(*body)))
    while not sending.done():
        before = loop.time()
        await asyncio.sleep(0.001)
        lags.append(loop.time() - before - 0.001)
    await sending
    await blobs.delete(key)
    assert len(lags) > 10, "the loop stood still"
    worst_ms = max(lags) * 1000
    print(f"worst loop lag while 256 MiB were put: {worst_ms:.1f} ms")  # noqa: T201 - a figure


async def test_check_passes_on_a_bucket_that_is_there(blobs: store.BlobStore) -> None:
    await blobs.check()
