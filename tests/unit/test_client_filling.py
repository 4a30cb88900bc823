"""What is missing of an upload, as several streams take it, lose it and bring it in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.client import filling, records

PART, SIZE = 10, 95


def upload_with(*ranges: tuple[int, int], size: int = SIZE) -> records.Upload:
    return records.Upload(
        name="u",
        state=records.UploadState.ACTIVE,
        digest="",
        size_bytes=size,
        part_size_bytes=PART,
        persisted_ranges=ranges,
    )


def taken(missing: filling.Filling) -> list[tuple[int, int]]:
    spans = []
    while (span := missing.take()) is not None:
        spans.append(span)
    return spans


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], [(0, 95)]),
        ([(0, 95)], []),
        ([(0, 30)], [(30, 95)]),
        ([(10, 30), (50, 60)], [(0, 10), (30, 50), (60, 95)]),
        ([(90, 95)], [(0, 90)]),
    ],
)
def test_one_stream_takes_all_that_follow_one_another(
    ranges: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert taken(filling.Filling(upload_with(*ranges), 1)) == expected


def test_several_streams_take_a_part_each() -> None:
    missing = filling.Filling(upload_with((10, 80)), 3)
    assert missing.streams == 3
    assert taken(missing) == [(0, 10), (80, 90), (90, 95)]


@pytest.mark.parametrize(("size", "streams"), [(0, 0), (1, 1), (10, 1), (11, 2), (1000, 5)])
def test_there_are_no_more_streams_than_parts(size: int, streams: int) -> None:
    assert filling.Filling(upload_with(size=size), 5).streams == streams


def test_what_was_not_sent_is_next_and_what_another_writes_is_last() -> None:
    missing = filling.Filling(upload_with(), 2)
    first, second = missing.take(), missing.take()
    assert first is not None
    assert second is not None
    missing.give_back(second)
    assert missing.take() == second
    missing.give_back(first, at_end=True)
    assert taken(missing)[-1] == first


def test_a_range_cut_in_the_middle_goes_on_at_its_first_part_that_is_missing() -> None:
    missing = filling.Filling(upload_with(), 1)
    assert missing.take() == (0, 95)
    missing.sent(0, 10)
    missing.sent(10, 7)
    missing.learn([(0, 10)])
    assert missing.done_bytes == 17
    missing.give_back((0, 95))
    assert missing.done_bytes == missing.durable_bytes == 10
    assert missing.take() == (10, 95)


@given(st.data(), st.integers(0, 130), st.integers(1, 4))
def test_however_it_goes_each_byte_is_done_once(
    draw: st.DataObject, size: int, streams: int
) -> None:
    missing = filling.Filling(upload_with(size=size), streams)
    under_way: list[tuple[int, int]] = []
    durable, spent = set[int](), 0
    while len(durable) < -(-size // PART):
        if (not under_way or draw.draw(st.booleans())) and (span := missing.take()) is not None:
            assert not any(span[0] < end and start < span[1] for start, end in under_way)
            assert span[0] // PART not in durable
            under_way.append(span)
            continue
        span = under_way.pop(draw.draw(st.integers(0, len(under_way) - 1)))
        missing.sent(span[0], min(PART, span[1] - span[0]))
        spent += 1
        if spent > 20 or draw.draw(st.booleans()):
            missing.learn([span])
            durable |= set(range(span[0] // PART, -(-span[1] // PART)))
        else:
            missing.give_back(span, at_end=draw.draw(st.booleans()))
        assert missing.durable_bytes <= missing.done_bytes <= size
    assert missing.take() is None
    assert missing.done_bytes == missing.durable_bytes == size
