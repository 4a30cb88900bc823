"""Following the event log: exactly once, in order, whoever else is slow, gone or early."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from support import happening

from modelkeep.authz import caller as callers
from modelkeep.domain import errors, events, names, subscriptions
from modelkeep.service import event_feeds, watching
from modelkeep.storage import database

ACME = names.NamespaceName("acme")
OWNER = callers.anonymous(callers.Role.ADMIN, "test", "")
ALL = subscriptions.EventFilter()
SMALL = event_feeds.Settings(soon_s=0.005, idle_s=0.02, kept_events=50)


@contextlib.asynccontextmanager
async def polling(db: database.Database) -> AsyncIterator[event_feeds.Feeds]:
    feeds = event_feeds.Feeds(db, SMALL)
    poller = asyncio.create_task(feeds.run())
    try:
        yield feeds
    finally:
        poller.cancel()
        await asyncio.wait([poller])


async def take(
    watch: AsyncIterator[events.Record | subscriptions.Checkpoint], count: int
) -> list[int]:
    """Sequences of the next so many events, checkpoints left out."""
    found: list[int] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            sent = await anext(watch)
            if isinstance(sent, events.Record):
                found.append(sent.sequence)
    return found


async def test_many_writers_at_once_are_seen_in_the_order_of_their_commits(
    db: database.Database, database_url: str
) -> None:
    async with polling(db) as feeds:
        follow = watching.Watching(db, feeds)
        watches = [follow.watch(OWNER, ACME, ALL, 0) for _ in range(5)]
        reading = [asyncio.create_task(take(watch, 401)) for watch in watches]
        await happening.happen_at_once(db, 20, 20)
        expected = [seq for seq, _, _ in await happening.logged(database_url)]
        assert len(expected) == 401  # the namespace's own creation is the first
        for task in reading:
            assert await task == expected
        for watch in watches:
            await watch.aclose()
        assert not feeds._feeds


async def test_a_slow_watcher_holds_up_nobody_and_misses_nothing(db: database.Database) -> None:
    async with polling(db) as feeds:
        follow = watching.Watching(db, feeds)
        slow, quick = (follow.watch(OWNER, ACME, ALL, 1) for _ in range(2))
        await anext(slow)
        await happening.happen(db, 5)
        assert await take(slow, 1) == [2]
        reading = asyncio.create_task(take(quick, 605))
        await happening.happen(db, 600)
        assert await reading == list(range(2, 607))
        (feed,) = feeds._feeds.values()
        assert len(feed._latest) <= SMALL.kept_events
        assert feed.after(2, 100) is None  # what the slow one needs is no longer in memory
        assert await take(slow, 604) == list(range(3, 607))
        await happening.happen(db, 1)
        assert await take(slow, 1) == await take(quick, 1) == [607]
        await slow.aclose()
        await quick.aclose()


async def test_a_burst_larger_than_the_memory_is_read_whole(db: database.Database) -> None:
    feeds = event_feeds.Feeds(db, SMALL)
    follow = watching.Watching(db, feeds)
    watch = follow.watch(OWNER, ACME, ALL, None)
    assert await anext(watch) == subscriptions.Checkpoint(1, 1)
    await happening.happen(db, 450)
    poller = asyncio.create_task(feeds.run())
    assert await take(watch, 450) == list(range(2, 452))
    poller.cancel()
    await asyncio.wait([poller])
    await watch.aclose()


async def test_a_watch_that_is_overtaken_by_compaction_says_so(
    db: database.Database, database_url: str
) -> None:
    async with polling(db) as feeds:
        follow = watching.Watching(db, feeds)
        watch = follow.watch(OWNER, ACME, ALL, 0)
        assert await take(watch, 1) == [1]
        await happening.happen(db, 300)
        await happening.compact(database_url, 120)
        with pytest.raises(errors.OutOfRange, match="up to 120 are gone") as refused:
            await take(watch, 300)
        assert refused.value.reason == "EVENTS_COMPACTED"
        assert refused.value.metadata["oldest_sequence"] == "121"
        again = follow.watch(OWNER, ACME, ALL, 120)
        assert await take(again, 181) == list(range(121, 302))
        await again.aclose()


async def test_an_idle_watch_gets_checkpoints_with_the_place_it_has_reached(
    db: database.Database, database_url: str
) -> None:
    async with polling(db) as feeds:
        follow = watching.Watching(db, feeds, idle_s=0.05)
        only = subscriptions.EventFilter(actions=("stage.*",))
        watch = follow.watch(OWNER, ACME, only, None)
        assert await anext(watch) == subscriptions.Checkpoint(1, 1)
        await happening.happen(db, 10)
        async with asyncio.timeout(10):
            async for sent in watch:
                if sent == subscriptions.Checkpoint(11, 1):
                    break
            await happening.compact(database_url, 4)
            async for sent in watch:
                if sent == subscriptions.Checkpoint(11, 5):
                    break
        await watch.aclose()


async def test_watchers_end_when_the_server_drains_or_its_database_is_away(
    db: database.Database,
) -> None:
    async with polling(db) as feeds:
        follow = watching.Watching(db, feeds, idle_s=0.05)
        watch = follow.watch(OWNER, ACME, ALL, None)
        await anext(watch)
        feeds._attempt = _failing  # type: ignore[method-assign]
        feeds.failing = True
        with pytest.raises(errors.Unavailable, match="the database"):
            await take(watch, 1)
        feeds.failing = False
        watch = follow.watch(OWNER, ACME, ALL, None)
        await anext(watch)
        draining = asyncio.Event()
        ending = asyncio.create_task(feeds.end_when(draining))
        draining.set()
        with pytest.raises(errors.Unavailable, match="another replica"):
            await take(watch, 1)
        await ending


async def _failing() -> bool:
    return False
