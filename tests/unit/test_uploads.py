"""Ranges, parts, checksums and the memory budget."""

import asyncio
import hashlib
import itertools
from collections.abc import Iterator

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import blobs, errors, limits, uploads
from modelkeep.service import budget, hashing, running_digests, upload_parts

ends = st.integers(0, 60)
ranges = st.lists(st.builds(uploads.ByteRange, ends, ends))
layouts = st.builds(uploads.Layout, st.integers(0, 1000), st.integers(1, 70))


def bytes_in(some: "list[uploads.ByteRange] | tuple[uploads.ByteRange, ...]") -> set[int]:
    return {byte for each in some for byte in range(each.start, each.end)}


@given(ranges)
def test_merged_ranges_hold_the_same_bytes_sorted_and_apart(some: list[uploads.ByteRange]) -> None:
    merged = uploads.merged(some)
    assert bytes_in(merged) == bytes_in(some)
    assert all(one.end < two.start for one, two in itertools.pairwise(merged))
    assert all(each.start < each.end for each in merged)


@given(ranges, st.integers(0, 60))
def test_the_first_missing_range_is_the_first_hole(
    some: list[uploads.ByteRange], size: int
) -> None:
    within = [uploads.ByteRange(min(r.start, size), min(r.end, size)) for r in some]
    missing = uploads.first_missing(size, uploads.merged(within))
    holes = set(range(size)) - bytes_in(within)
    if missing is None:
        assert not holes
        return
    hole = set(range(missing.start, missing.end))
    assert hole <= holes
    assert missing.start == min(holes)
    assert missing.end not in holes


@given(layouts)
def test_parts_cover_a_blob_once(layout: uploads.Layout) -> None:
    places = [layout.range_of(number) for number in range(1, layout.count + 1)]
    assert uploads.merged(places) == uploads.merged([uploads.ByteRange(0, layout.size_bytes)])
    assert sum(place.end - place.start for place in places) == layout.size_bytes
    assert all(place.end - place.start == layout.part_size_bytes for place in places[:-1])
    for number, place in enumerate(places, 1):
        assert layout.is_boundary(place.start)
        assert {layout.number_at(byte) for byte in range(place.start, place.end)} == {number}
    assert not layout.is_boundary(layout.size_bytes)


@given(st.integers(0, limits.MAX_BLOB_BYTES))
def test_no_blob_has_too_many_or_too_small_parts(size: int) -> None:
    part_bytes = uploads.part_size_for(size)
    assert part_bytes >= limits.MIN_PART_BYTES
    assert uploads.Layout(size, part_bytes).count <= limits.MAX_PARTS


@given(st.lists(st.binary(max_size=80)))
def test_checksums_of_pieces_combine_into_the_whole(pieces: list[bytes]) -> None:
    combined = hashing.combined_crc32c((google_crc32c.value(each), len(each)) for each in pieces)
    assert combined == google_crc32c.value(b"".join(pieces)) == hashing.crc32c_of(pieces)


def test_checksums_combine_over_large_pieces() -> None:
    one, two = bytes(20 * limits.MIB), b"\xff" * (16 * limits.MIB + 1)
    pieces = [(google_crc32c.value(each), len(each)) for each in (one, two)]
    assert hashing.combined_crc32c(pieces) == hashing.crc32c_of([one, two])


@given(st.binary(max_size=400), st.lists(st.integers(1, 90), min_size=1), st.integers(1, 70))
def test_a_part_takes_exactly_its_bytes(content: bytes, cuts: list[int], size: int) -> None:
    layout = uploads.Layout(len(content), size)
    found, rest, cut = [], content, 0
    for number in range(1, layout.count + 1):
        part = upload_parts.PartBuffer(number, layout.range_of(number))
        while not part.full:
            length = cuts[cut % len(cuts)]
            cut += 1
            rest = part.add(rest[:length]) + rest[length:]
        found.append(b"".join(part.take_buffers()))
    assert b"".join(found) == content
    assert [len(each) for each in found[:-1]] == [size] * (layout.count - 1)


def test_a_part_of_tiny_chunks_is_kept_in_few_pieces() -> None:
    part = upload_parts.PartBuffer(1, uploads.ByteRange(0, 2 * limits.MIB))
    for _ in range(2 * limits.MIB // 64):
        part.add(bytes(64))
    assert len(part.take_buffers()) == 2


def test_a_large_chunk_is_kept_as_it_came() -> None:
    chunk = bytes(limits.MIB)
    part = upload_parts.PartBuffer(1, uploads.ByteRange(0, limits.MIB))
    part.add(chunk)
    (kept,) = part.take_buffers()
    assert kept is chunk


@given(st.integers(0, 2**70), st.integers(0, 2**70), st.integers(0, 1000))
def test_a_span_never_reads_beyond_the_end(offset: int, limit: int, size: int) -> None:
    try:
        length = blobs.Span(offset, limit).length_in(size)
    except errors.InvalidArgument:
        assert max(offset, limit) > limits.INT64_MAX
    except errors.OutOfRange:
        assert offset > size
    else:
        assert offset + length <= size
        assert limit == 0 or length <= limit


@pytest.fixture
def hasher() -> Iterator[hashing.Hasher]:
    hasher = hashing.Hasher(1)
    yield hasher
    hasher.close()


def running_digest(count: int) -> running_digests.RunningDigest:
    patience = running_digests.Patience(arriving_s=0.01, coming_s=0.01)
    return running_digests.RunningDigest(count, patience, budget.MemoryBudget(10))


async def test_a_running_digest_answers_only_for_parts_in_order(hasher: hashing.Hasher) -> None:
    digest = running_digest(2)
    assert not await digest.advance(hasher, 2, [b"b"])
    assert await digest.advance(hasher, 1, [b"a"])
    assert digest.whole_with_one_more() == ""
    digest.recorded()
    assert digest.whole_with_one_more() == ""
    assert not await digest.advance(hasher, 1, [b"a"])
    assert await digest.advance(hasher, 2, [b"b"])
    assert digest.whole_with_one_more() == f"sha256:{hashlib.sha256(b'ab').hexdigest()}"
    digest.spoil()
    assert digest.whole_with_one_more() == ""


async def test_a_running_digest_says_nothing_before_all_but_one_part_are_durable(
    hasher: hashing.Hasher,
) -> None:
    digest = running_digest(3)
    for number in (1, 2, 3):
        await digest.advance(hasher, number, [b"x"])
    for expected in (False, False, True):
        assert bool(digest.whole_with_one_more()) is expected
        digest.recorded()


async def reserved(memory: budget.MemoryBudget, size: int) -> "asyncio.Task[None]":
    task = asyncio.create_task(memory.reserve(size))
    await asyncio.sleep(0)
    return task


async def test_the_budget_is_given_in_the_order_asked() -> None:
    memory = budget.MemoryBudget(10)
    await memory.reserve(8)
    large, small = await reserved(memory, 9), await reserved(memory, 1)
    assert not large.done()
    assert not small.done()  # it would fit, and would starve the large one for ever
    memory.release(8)
    await asyncio.gather(large, small)
    assert memory.used_bytes == 10


async def test_one_who_gives_up_waiting_does_not_block_the_next() -> None:
    memory = budget.MemoryBudget(10)
    await memory.reserve(5)
    large, small = await reserved(memory, 9), await reserved(memory, 5)
    large.cancel()
    await small
    with pytest.raises(asyncio.CancelledError):
        await large
    assert memory.used_bytes == 10
    assert memory.waiting == 0


async def test_a_reservation_granted_in_the_moment_of_its_cancellation_is_given_back() -> None:
    memory = budget.MemoryBudget(10)
    await memory.reserve(10)
    first, second = await reserved(memory, 10), await reserved(memory, 10)
    memory.release(10)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    memory.release(10)
    assert memory.used_bytes == 0


async def test_a_part_larger_than_the_budget_is_admitted_alone() -> None:
    memory = budget.MemoryBudget(10)
    await memory.reserve(3)
    huge, next_one = await reserved(memory, 50), await reserved(memory, 1)
    assert not huge.done()
    memory.release(3)
    await huge
    await asyncio.sleep(0)
    assert not next_one.done()
    memory.release(50)
    await next_one
