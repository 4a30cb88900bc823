"""Look-ups that go together: nobody gets an answer older than the question, or another's."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from modelkeep.service import gathering


class Desk:
    """Counts up with every look-up, when it begins; lets a test say when one ends."""

    def __init__(self, most: int = 64) -> None:
        self.began = 0
        self.together: list[tuple[str, ...]] = []
        self.alone: list[str] = []
        self.may_end = asyncio.Event()
        self.unknown: set[str] = set()
        self.failure: Exception | None = None
        self.gathered = gathering.Gathered(self._alone, self._together, at_once=1, most=most)

    async def _alone(self, key: str) -> str:
        self.began += 1
        began = self.began
        self.alone.append(key)
        await self.may_end.wait()
        if key in self.unknown:
            raise LookupError(key)
        return f"{key}{began}"

    async def _together(self, keys: Collection[str]) -> Mapping[str, str]:
        self.began += 1
        began = self.began
        self.together.append(tuple(keys))
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return {key: f"{key}{began}" for key in keys if key not in self.unknown}

    async def ask(self, *keys: str) -> "list[asyncio.Task[str]]":
        """Ask, and let everybody get as far as they can."""
        asked = [asyncio.create_task(self.gathered.get(key)) for key in keys]
        await self.turn()
        return asked

    async def turn(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)


async def test_who_asks_when_it_is_quiet_is_answered_alone() -> None:
    desk = Desk()
    desk.may_end.set()
    assert await desk.gathered.get("a") == "a1"
    assert await desk.gathered.get("a") == "a2"  # nothing is kept
    assert desk.together == []


async def test_who_asks_meanwhile_goes_together_once_each_and_later() -> None:
    desk = Desk()
    first = await desk.ask("a")
    rest = await desk.ask("a", "b", "a", "c")
    assert desk.began == 1  # they do not join what has begun
    desk.may_end.set()
    assert await asyncio.gather(*first) == ["a1"]
    assert await asyncio.gather(*rest) == ["a2", "b2", "a2", "c2"]
    assert desk.together == [("a", "b", "c")]


async def test_a_look_up_takes_so_many_and_the_next_takes_the_rest() -> None:
    desk = Desk(most=2)
    asked = await desk.ask("a", "b", "c", "d", "b")
    desk.may_end.set()
    assert await asyncio.gather(*asked) == ["a1", "b2", "c2", "d3", "b2"]
    assert desk.together == [("b", "c"), ("d",)]


async def test_what_is_not_found_together_is_looked_up_alone_for_its_reason() -> None:
    desk = Desk()
    desk.unknown = {"b"}
    asked = await desk.ask("a", "b", "c")
    desk.may_end.set()
    a, b, c = await asyncio.gather(*asked, return_exceptions=True)
    assert (a, c) == ("a1", "c2")
    assert isinstance(b, LookupError)
    assert desk.alone == ["a", "b"]


async def test_a_failure_is_everybodys_and_the_next_go_on() -> None:
    desk = Desk()
    desk.failure = OSError("away")
    asked = await desk.ask("a", "b", "c")
    desk.may_end.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert found[0] == "a1"
    assert [type(each) for each in found[1:]] == [OSError, OSError]
    desk.failure = None
    assert await desk.gathered.get("d") == "d3"


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    desk = Desk()
    asked = await desk.ask("a", "b", "b", "c")
    asked[1].cancel()
    asked[0].cancel()  # alone: its place is free again
    await desk.turn()
    asked[3].cancel()
    await desk.turn()
    desk.may_end.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert found[2] == "b2"
    assert [type(found[n]) for n in (0, 1, 3)] == [asyncio.CancelledError] * 3
    assert await desk.gathered.get("d") == "d3"


async def at_the_door(desk: Desk, *keys: str) -> "list[asyncio.Task[str]]":
    """Who waits while the next look-up lets in those who come, and has not begun."""
    asked = await desk.ask("first", *keys)
    desk.may_end.set()
    while not desk.gathered._tasks:  # noqa: ASYNC110 - it tells nobody that it begins
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # it waits for company now
    assert desk.together == []
    return asked


async def test_who_leaves_at_the_door_takes_nobody_elses_look_up_with_them() -> None:
    desk = Desk()
    asked = await at_the_door(desk, "a", "b", "b")
    asked[1].cancel()
    asked[2].cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(found[n]) for n in (1, 2)] == [asyncio.CancelledError] * 2
    assert (found[0], found[3]) == ("first1", "b2")
    assert await desk.gathered.get("c") == "c3"


async def test_all_who_were_at_the_door_may_leave_and_others_come() -> None:
    desk = Desk()
    asked = await at_the_door(desk, "a", "b")
    for one in asked[1:]:
        one.cancel()
    await asyncio.wait(asked)
    assert await asyncio.gather(*(desk.gathered.get(key) for key in "cd")) == ["c2", "d2"]
    assert await desk.gathered.get("e") == "e3"


async def test_a_look_up_that_is_cancelled_at_the_door_leaves_nobody_waiting() -> None:
    desk = Desk()
    asked = await at_the_door(desk, "a", "b")
    (looking_up,) = desk.gathered._tasks
    looking_up.cancel()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*asked) == ["first1", "a2", "b2"]
    assert desk.together == [("a", "b")]
    assert looking_up.cancelled()
    assert await desk.gathered.get("c") == "c3"


@pytest.mark.parametrize("at_once", [1, 2, 3])
async def test_no_answer_is_older_than_its_question(at_once: int) -> None:
    now = 0

    async def look(keys: Collection[str]) -> Mapping[str, int]:
        began = now
        for _ in range(len(keys)):
            await asyncio.sleep(0)
        return dict.fromkeys(keys, began)

    async def one(key: str) -> int:
        return (await look([key]))[key]

    gathered = gathering.Gathered(one, look, at_once, most=3)

    async def ask(number: int) -> None:
        nonlocal now
        for _ in range(50):
            now += 1
            asked = now
            assert await gathered.get(f"k{(asked + number) % 7}") >= asked

    await asyncio.gather(*(ask(number) for number in range(12)))
