"""Look-ups that go together: who asks while others are being answered is answered with them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
AT_ONCE = 1
MOST = 64
_QUIET_TURNS = 30
"""So many turns of the event loop without a newcomer, and nobody is at the door. A call takes some
to come in, and a loop that is busy has more calls waiting than it has taken in."""
_LONGEST_S = 0.005


class Gathered(Generic[K, V]):
    """Looks up alone while it is quiet, and many together otherwise.

    No answer is older than its question: nobody joins a look-up that has begun, and nothing is
    kept.

    Args:
        alone: finds one answer, or raises.
        together: finds many; what it does not answer is looked up alone, what it raises is raised
            to all who asked.
        at_once: look-ups under way at the same time; who comes then waits for the next to begin.
        most: keys of one look-up.
    """

    def __init__(
        self,
        alone: Callable[[K], Awaitable[V]],
        together: Callable[[Collection[K]], Awaitable[Mapping[K, V]]],
        at_once: int = AT_ONCE,
        most: int = MOST,
    ) -> None:
        self._alone = alone
        self._together = together
        self._at_once = at_once
        self._most = most
        self._running = 0
        self._asked = 0
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V:
        """The answer; what `alone` or `together` raises."""
        if self._running < self._at_once:
            self._running += 1
            try:
                return await self._alone(key)
            finally:
                self._over()
        self._asked += 1
        waiting: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(waiting)
        found = await waiting
        return await self._alone(key) if found is None else found

    def _over(self) -> None:
        """A look-up has ended; the next one takes its place."""
        self._running -= 1
        if self._waiting:
            self._running += 1
            # What it does is nobody's alone; `together` says what it may see.
            task = asyncio.create_task(self._answer())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _taken(self) -> dict[K, list["asyncio.Future[V | None]"]]:
        """Who has waited longest, at most so many keys."""
        if len(self._waiting) <= self._most:
            taken, self._waiting = self._waiting, {}
            return taken
        first = [key for key, _ in zip(self._waiting, range(self._most), strict=False)]
        return {key: self._waiting.pop(key) for key in first}

    async def _let_in(self) -> None:
        """Wait for those who are at the door already, as long as they keep coming in."""
        loop = asyncio.get_running_loop()
        until_s, quiet_turns = loop.time() + _LONGEST_S, 0
        while quiet_turns < _QUIET_TURNS and loop.time() < until_s:
            before = self._asked
            await asyncio.sleep(0)
            quiet_turns = 0 if self._asked > before else quiet_turns + 1

    async def _answer(self) -> None:
        asked: dict[K, list[asyncio.Future[V | None]]] = {}
        try:
            await self._let_in()
            asked = self._taken()
            found = await self._together(asked.keys())
        except BaseException as error:
            for waiting in _open(asked.values()):
                waiting.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for key, all_waiting in asked.items():
                for waiting in _open([all_waiting]):
                    waiting.set_result(found.get(key))
        finally:
            self._over()


def _open(groups: Collection[list["asyncio.Future[V]"]]) -> list["asyncio.Future[V]"]:
    """Those who still wait; others were cancelled."""
    return [waiting for group in groups for waiting in group if not waiting.done()]
