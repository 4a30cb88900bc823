"""Digests of blobs whose parts come over several streams, in every order and with every mishap."""

import asyncio
import enum
import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkeep.domain import names
from modelkeep.service import budget, hashing, running_digests

NAME = names.UploadName("acme", "0" * 32)
QUICK = running_digests.Patience(arriving_s=0.02, coming_s=0.01)
LONG = running_digests.Patience(arriving_s=60, coming_s=60)


@pytest.fixture(scope="module")
def hasher() -> Iterator[hashing.Hasher]:
    hasher = hashing.Hasher(2)
    yield hasher
    hasher.close()


def digests(
    patience: running_digests.Patience, memory: budget.MemoryBudget, count: int
) -> running_digests.RunningDigests:
    made = running_digests.RunningDigests(patience, memory)
    made.open(NAME, count, has_parts=False)
    return made


async def turn_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_part_waits_for_one_that_arrives(hasher: hashing.Hasher) -> None:
    kept = digests(LONG, budget.MemoryBudget(2), 2)
    first, second = kept.begin(NAME, 1, 2), kept.begin(NAME, 2, 2)
    waiting = asyncio.create_task(second.hash(hasher, [b"b"]))
    await turn_of_the_loop()
    assert not waiting.done()
    await first.hash(hasher, [b"a"])
    await waiting
    assert first.hashed
    assert second.hashed


async def test_a_part_waits_for_one_that_has_not_begun_until_somebody_needs_memory(
    hasher: hashing.Hasher,
) -> None:
    memory = budget.MemoryBudget(1)
    await memory.reserve(1)
    second = digests(LONG, memory, 2).begin(NAME, 2, 2)
    waiting = asyncio.create_task(second.hash(hasher, [b"b"]))
    await turn_of_the_loop()
    assert not waiting.done()
    wanting = asyncio.create_task(memory.reserve(1))
    await waiting
    assert not second.hashed
    memory.release(1)
    await wanting


async def test_nobody_waits_for_a_part_that_was_given_up(hasher: hashing.Hasher) -> None:
    kept = digests(LONG, budget.MemoryBudget(2), 2)
    first, second = kept.begin(NAME, 1, 2), kept.begin(NAME, 2, 2)
    waiting = asyncio.create_task(second.hash(hasher, [b"b"]))
    await turn_of_the_loop()
    first.leave()
    await waiting
    assert not second.hashed


async def test_one_who_stalls_is_waited_for_no_longer_than_said(hasher: hashing.Hasher) -> None:
    kept = digests(QUICK, budget.MemoryBudget(2), 2)
    kept.begin(NAME, 1, 2)
    second = kept.begin(NAME, 2, 2)
    async with asyncio.timeout(20):
        await second.hash(hasher, [b"b"])
    assert not second.hashed


async def test_what_another_process_began_is_not_waited_for(hasher: hashing.Hasher) -> None:
    kept = running_digests.RunningDigests(LONG, budget.MemoryBudget(2))
    kept.open(NAME, 3, has_parts=True)
    turn = kept.begin(NAME, 3, 3)
    await turn.hash(hasher, [b"c"])
    assert not turn.hashed


class Fate(enum.Enum):
    """What becomes of an attempt at a part."""

    STORED = enum.auto()
    CUT = enum.auto()
    REFUSED_BY_STORE = enum.auto()
    NOT_RECORDED = enum.auto()
    KILLED = enum.auto()


fates = st.lists(
    st.tuples(
        st.sampled_from([Fate.STORED] * 4 + list(Fate)),
        st.integers(0, 6),
        st.integers(0, 6),
    ),
    min_size=12,
    max_size=24,
)


@dataclass
class World:
    """One upload: streams take parts from a queue, as the client has them do."""

    count: int
    memory: budget.MemoryBudget
    kept: running_digests.RunningDigests
    hasher: hashing.Hasher
    plan: deque[tuple[Fate, int, int]]
    waiting: deque[int] = field(default_factory=deque)
    stored: dict[int, bytes] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)
    attempts: int = 0

    async def stream(self) -> None:
        while self.waiting:
            number = self.waiting.popleft()
            task = asyncio.create_task(self.attempt(number))
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
            if number not in self.stored:
                self.waiting.appendleft(number)

    async def attempt(self, number: int) -> None:
        fate, before, after = self.plan.popleft() if self.plan else (Fate.STORED, 0, 0)
        self.attempts += 1
        content = f"{number}:{self.attempts};".encode()
        self.kept.open(NAME, self.count, has_parts=bool(self.stored))
        async with self.memory.held(1):
            turn = self.kept.begin(NAME, number, self.count)
            try:
                await loops(before)
                await self.hash(turn, content, fate, after)
            except BaseException:
                turn.failed()
                raise
            finally:
                turn.leave()
        if fate in (Fate.CUT, Fate.REFUSED_BY_STORE):
            turn.failed()
            return
        await self.record(turn, number, content, fate)

    async def hash(
        self, turn: running_digests.Turn, content: bytes, fate: Fate, after: int
    ) -> None:
        if fate is Fate.CUT:
            return
        hashing_it = asyncio.create_task(turn.hash(self.hasher, [content]))
        await loops(after)
        if fate in (Fate.REFUSED_BY_STORE, Fate.KILLED):
            hashing_it.cancel()
        await asyncio.gather(hashing_it, return_exceptions=True)
        if fate is Fate.KILLED:
            raise asyncio.CancelledError

    async def record(
        self, turn: running_digests.Turn, number: int, content: bytes, fate: Fate
    ) -> None:
        async with turn.recording() as sha256:
            await asyncio.sleep(0)
            if fate is Fate.NOT_RECORDED or number in self.stored:
                turn.failed()
                return
            self.stored[number] = content
            turn.recorded()
            if sha256:
                self.answered.append(sha256)

    def digest(self) -> str:
        whole = b"".join(self.stored[number] for number in sorted(self.stored))
        return f"sha256:{hashlib.sha256(whole).hexdigest()}"


async def loops(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 6),
    slots=st.integers(1, 4),
    streams=st.integers(1, 4),
    plan=fates,
    twice=st.lists(st.integers(1, 6), max_size=2),
)
def test_no_interleaving_locks_up_or_answers_a_wrong_digest(
    count: int, slots: int, streams: int, plan: list[tuple[Fate, int, int]], twice: list[int]
) -> None:
    async def run() -> World:
        hasher = hashing.Hasher(2)
        memory = budget.MemoryBudget(slots)
        world = World(count, memory, digests(QUICK, memory, count), hasher, deque(plan))
        # Some parts are at work twice: two clients at one upload.
        world.waiting.extend(sorted([*range(1, count + 1), *(n for n in twice if n <= count)]))
        async with asyncio.timeout(20):
            await asyncio.gather(*(world.stream() for _ in range(streams)))
        hasher.close()
        return world

    world = asyncio.run(run())
    assert sorted(world.stored) == list(range(1, count + 1))
    assert world.memory.used_bytes == 0
    assert world.answered in ([], [world.digest()])


@pytest.mark.parametrize(("streams", "slots"), [(1, 1), (3, 3), (4, 4), (8, 8), (3, 8)])
async def test_if_nothing_goes_wrong_the_digest_is_answered(
    hasher: hashing.Hasher, streams: int, slots: int
) -> None:
    memory = budget.MemoryBudget(slots)
    plan = deque((Fate.STORED, n * 7 % 5, n * 3 % 4) for n in range(20))
    world = World(20, memory, digests(LONG, memory, 20), hasher, plan, deque(range(1, 21)))
    async with asyncio.timeout(20):
        await asyncio.gather(*(world.stream() for _ in range(streams)))
    assert world.answered == [world.digest()]
