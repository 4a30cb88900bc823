"""Answers that are kept for a moment, looked up once however many ask, and forgotten at will."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
KEPT = 10_000


@dataclass(frozen=True, slots=True)
class _Kept(Generic[V]):
    value: V
    until_s: float


class Remembered(Generic[K, V]):
    """Looks answers up and keeps them; that there is none is an answer as well.

    Args:
        look_up: finds the answer; what it raises is not kept.
        lifetime_s: how long an answer is kept, in seconds.
        most: answers kept at the same time; beyond, the oldest goes.
    """

    def __init__(
        self, look_up: Callable[[K], Awaitable[V]], lifetime_s: float, most: int = KEPT
    ) -> None:
        self._look_up = look_up
        self._lifetime_s = lifetime_s
        self._most = most
        self._kept: dict[K, _Kept[V]] = {}
        self._running: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """The answer, as old as its lifetime at most."""
        found = self._kept.get(key)
        if found is not None and found.until_s > time.monotonic():
            return found.value
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(self._ask(key))
            self._running[key] = running
        return await asyncio.shield(running)  # one who leaves does not take it from the others

    def forget(self, key: K) -> None:
        """Look this up again, even if it is being looked up right now."""
        self._kept.pop(key, None)
        self._running.pop(key, None)

    def forget_all(self) -> None:
        """Look everything up again."""
        self._kept.clear()
        self._running.clear()

    async def _ask(self, key: K) -> V:
        asked = asyncio.current_task()
        try:
            value = await self._look_up(key)
            if self._running.get(key) is asked:  # else it was forgotten meanwhile
                self._keep(key, value)
            return value
        finally:
            if self._running.get(key) is asked:
                del self._running[key]

    def _keep(self, key: K, value: V) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = _Kept(value, time.monotonic() + self._lifetime_s)
