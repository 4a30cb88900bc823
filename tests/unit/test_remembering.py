"""Answers that are kept for a moment."""

import asyncio

import pytest

from modelkeep.service import remembering


class Source:
    """Answers how often it was asked, when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()

    async def look_up(self, key: str) -> str | None:
        self.asked += 1
        number = self.asked
        self.begun.set()
        await self.open.wait()
        if key == "broken":
            raise RuntimeError("no")
        return None if key == "nothing" else f"{key} {number}"


@pytest.fixture
def source() -> Source:
    return Source()


async def test_an_answer_is_kept_that_there_is_none_too(source: Source) -> None:
    known = remembering.Remembered(source.look_up, 60)
    assert [await known.get("a") for _ in range(3)] == ["a 1"] * 3
    assert [await known.get("nothing") for _ in range(3)] == [None] * 3
    assert source.asked == 2


async def test_many_who_ask_at_once_cost_one_look(source: Source) -> None:
    source.open.clear()
    known = remembering.Remembered(source.look_up, 60)
    asking = [asyncio.create_task(known.get("a")) for _ in range(50)]
    await source.begun.wait()
    asking[0].cancel()  # one who leaves takes nothing from the others
    source.open.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert set(told[1:]) == {"a 1"}
    assert source.asked == 1


async def test_what_is_old_is_looked_up_again(source: Source) -> None:
    known = remembering.Remembered(source.look_up, 0)
    assert [await known.get("a") for _ in range(2)] == ["a 1", "a 2"]


async def test_what_was_forgotten_while_it_was_looked_up_is_not_kept(source: Source) -> None:
    """An answer that was read before a change must not live on behind it."""
    source.open.clear()
    known = remembering.Remembered(source.look_up, 60)
    early = asyncio.create_task(known.get("a"))
    await source.begun.wait()
    known.forget("a")
    late = asyncio.create_task(known.get("a"))
    source.open.set()
    assert await early == "a 1"
    assert await late == "a 2"
    assert await known.get("a") == "a 2"
    known.forget_all()
    assert await known.get("a") == "a 3"


async def test_a_failure_is_told_and_not_kept(source: Source) -> None:
    known = remembering.Remembered(source.look_up, 60)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            await known.get("broken")
    assert source.asked == 2


async def test_no_more_is_kept_than_allowed(source: Source) -> None:
    known = remembering.Remembered(source.look_up, 60, most=10)
    for number in range(100):
        await known.get(str(number))
    assert len(known._kept) == 10
    await known.get("99")
    assert source.asked == 100
