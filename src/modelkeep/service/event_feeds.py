"""One poller of the event log for all who follow it, and the latest events for all of them.

A watcher holds nothing but its position. It takes the next events from its namespace's feed, whose
latest are in memory once for everybody, and from the table if it is further behind. So memory does
not depend on how many watch or how slow they are, and nobody waits for anybody.
"""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog

from modelkeep.domain import errors, events, sight
from modelkeep.storage import database, event_log

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """How often the log is looked at, and how much of it is kept.

    Attributes:
        soon_s: pause between two looks while things happen, in seconds.
        idle_s: the longest pause, which it grows to when nothing does.
        kept_events: latest events of a namespace in memory, at most.
        kept_chars: their size in memory, at most, and that of one more event.
        readers: watchers that read the table at the same time, at most.
    """

    soon_s: float = 0.05
    idle_s: float = 0.2
    kept_events: int = 1000
    kept_chars: int = 1024 * 1024
    readers: int = 4


class Feed:
    """The latest events of one namespace that is watched.

    Attributes:
        last: the last sequence that is known of.
        oldest: the oldest sequence that can be read.
        watchers: how many follow it.
    """

    def __init__(self, span: event_log.Span, settings: Settings) -> None:
        self.last = span.last
        self.oldest = span.oldest
        self.watchers = 0
        self._settings = settings
        self._latest: collections.deque[events.Record] = collections.deque()
        self._chars = 0
        self._changed = asyncio.Event()

    def append(self, records: Sequence[events.Record]) -> None:
        """Add the events that follow, and wake who waits for them."""
        for record in records:
            self._latest.append(record)
            self._chars += _chars(record)
            self.last = record.sequence
        while self._is_full():
            self._chars -= _chars(self._latest.popleft())
        self.wake()

    def skip_to(self, last: int) -> None:
        """Note that so many have happened that each watcher had better read them by itself."""
        self._latest.clear()
        self._chars = 0
        self.last = last
        self.wake()

    def after(self, sequence: int, most: int) -> list[events.Record] | None:
        """The next events behind a sequence; None if they are not in memory."""
        if not self._latest or self._latest[0].sequence > sequence + 1:
            return None
        start = sequence + 1 - self._latest[0].sequence
        stop = min(start + most, len(self._latest))
        return [self._latest[number] for number in range(start, stop)]

    def wake(self) -> None:
        """Have all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, timeout_s: float) -> bool:
        """Wait until there is something new; False if that took longer than this."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._changed.wait()
        except TimeoutError:
            return False

    def _is_full(self) -> bool:
        most = self._settings
        return len(self._latest) > most.kept_events or self._chars > most.kept_chars


class Feeds:
    """The feeds of this process, and the poller that fills them while there are any."""

    def __init__(self, db: database.Database, settings: Settings | None = None) -> None:
        self._db = db
        self._settings = settings or Settings()
        self._feeds: dict[int, Feed] = {}
        self._reading = asyncio.Semaphore(self._settings.readers)
        self._wanted = asyncio.Event()
        self.failing = False
        self.closed = False

    @contextlib.asynccontextmanager
    async def joined(self, span: event_log.Span) -> AsyncIterator[Feed]:
        """The feed of a namespace, which is kept up to date inside the block."""
        feed = self._feeds.get(span.namespace_id)
        if feed is None:
            feed = Feed(span, self._settings)
            self._feeds[span.namespace_id] = feed
            self._wanted.set()
        feed.watchers += 1
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                del self._feeds[span.namespace_id]

    async def read(self, namespace_id: int, sequence: int) -> Sequence[events.Record]:
        """The next events from the table; only so many watchers read it at the same time."""
        async with self.reading() as connection:
            return await event_log.read_after(connection, namespace_id, sequence)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[database.Connection]:
        """A connection to read the table by, when it is a watcher's turn."""
        async with self._reading, self._db.connection() as connection:
            yield connection

    async def run(self) -> None:
        """Poll until cancelled; while the database is away, `failing` is true."""
        pause_s = self._settings.soon_s
        while True:
            if not self._feeds:
                self._wanted.clear()
                await self._wanted.wait()
            moved = await self._attempt()
            pause_s = self._settings.soon_s if moved else min(pause_s * 1.25, self._settings.idle_s)
            await asyncio.sleep(pause_s)

    async def end_when(self, draining: asyncio.Event) -> None:
        """Have all watchers end once this is set."""
        await draining.wait()
        self.closed = True
        for feed in self._feeds.values():
            feed.wake()

    async def _attempt(self) -> bool:
        try:
            moved = await self._poll()
        except errors.ModelkeepError as error:
            if not self.failing:
                _log.warning("events.poll_failed", error=error.message)
            self.failing = True
            return False
        except Exception:  # noqa: BLE001 - one broken look must not leave all watchers in silence
            _log.exception("events.poll_broken")
            self.failing = True
            return False
        self.failing = False
        return moved

    async def _poll(self) -> bool:
        """Bring all feeds up to date; whether there was anything new."""
        seen = {
            namespace_id: event_log.Span(namespace_id, feed.oldest - 1, feed.last)
            for namespace_id, feed in self._feeds.items()
        }
        async with self._db.everywhere(sight.Work.FOLLOW_EVENTS) as connection:
            moved = await event_log.find_moved(connection, seen.values())
            for span in moved:
                known = seen[span.namespace_id].last
                records = await event_log.read_after(connection, span.namespace_id, known)
                self._advance(span, known, records)
        return bool(moved)

    def _advance(self, span: event_log.Span, known: int, records: Sequence[events.Record]) -> None:
        feed = self._feeds.get(span.namespace_id)
        if feed is None or feed.last != known:
            return  # its watchers have left meanwhile, and perhaps others have come
        feed.oldest = span.oldest
        if records and records[0].sequence == known + 1:
            feed.append(records)
        elif span.last > known:
            feed.skip_to(span.last)


def _chars(record: events.Record) -> int:
    return len(record.before or "") + len(record.after or "") + len(record.resource)
