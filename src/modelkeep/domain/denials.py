"""Which denied attempts are written one by one, and which are only counted.

A caller who is denied over and over must not be able to fill the database: of each principal and
action a few attempts a minute are written in full, the rest are counted, a count for each chain.
"""

import collections
from collections.abc import Iterator
from dataclasses import dataclass, field

WINDOW_S = 60.0
WRITTEN = 10
"""Attempts of one principal at one action within a window that are written one by one."""
CHAINS = 16
"""Chains of which the others are counted apart; the rest together, in the registry's chain."""
KEYS = 10_000
"""Principals and actions that are told apart at the same time."""
OTHERS = "(others)"
"""Stands for the principals beyond these."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who tries what."""

    principal: str
    action: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many more attempts there were within a window, in one chain ('' is the registry's)."""

    key: Key
    namespace: str
    attempts: int


@dataclass(slots=True)
class _Window:
    began_s: float
    written: int = 0
    more: collections.Counter[str] = field(default_factory=collections.Counter)


class Limiter:
    """Decides about attempts as they come; in memory of one process."""

    def __init__(self) -> None:
        self._windows: dict[Key, _Window] = {}

    def admits(self, key: Key, namespace: str, now_s: float) -> bool:
        """Whether to write this attempt; if not, it has been counted."""
        if key not in self._windows and len(self._windows) >= KEYS:
            key = Key(OTHERS, key.action)
        window = self._windows.setdefault(key, _Window(now_s))
        if window.written < WRITTEN:
            window.written += 1
            return True
        known = namespace in window.more or len(window.more) < CHAINS
        window.more[namespace if known else ""] += 1
        return False

    def take_ended(self, now_s: float) -> Iterator[Count]:
        """The counts of the windows that have ended by then; these are forgotten."""
        ended = [key for key, window in self._windows.items() if window.began_s + WINDOW_S <= now_s]
        for key in ended:
            for namespace, attempts in self._windows.pop(key).more.items():
                yield Count(key, namespace, attempts)
