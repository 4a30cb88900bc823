"""Use cases of the event log: following it and listing it."""

import random
from collections.abc import AsyncGenerator, Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, names, pages, subscriptions
from modelkeep.service import event_feeds
from modelkeep.storage import database, event_log

_AT_ONCE = 100
_LOOKED_AT = 20 * event_log.READ_EVENTS
"""Events that one page of a list looks at, at most; few may fit the filter."""


class Watching:
    """Follows and lists the events of a namespace.

    Args:
        db: where the log is.
        feeds: what keeps watchers up to date.
        idle_s: after how long without an event a watcher gets a checkpoint, give or take a quarter.
    """

    def __init__(
        self, db: database.Database, feeds: event_feeds.Feeds, idle_s: float = 60.0
    ) -> None:
        self._db = db
        self._feeds = feeds
        self._idle_s = idle_s

    async def watch(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName,
        wanted: subscriptions.EventFilter,
        after: int | None,
    ) -> AsyncGenerator[events.Record | subscriptions.Checkpoint, None]:
        """A namespace's events behind a sequence (None: from now on), without end.

        Raises `errors.NotFound`, `errors.OutOfRange` if some are gone or the sequence lies ahead,
        and `errors.Unavailable` when the server drains or its database is away.
        """
        policy.require(caller, policy.Action.READ_EVENTS, parent)
        span = await self._span(parent)
        position = span.last if after is None else after
        _require_within(parent, span, position)
        async with self._feeds.joined(span) as feed:
            yield subscriptions.Checkpoint(position, span.oldest)
            while True:
                self._require_open()
                if position >= feed.last:
                    if not await feed.changed(self._patience_s()):
                        yield subscriptions.Checkpoint(position, feed.oldest)
                    continue
                records = await self._next(span, feed, parent, position)
                fitting = [one for one in records if wanted.fits(one.action, one.resource)]
                for record in fitting:
                    yield record
                position = records[-1].sequence
                if not fitting and len(records) >= _AT_ONCE:
                    yield subscriptions.Checkpoint(position, feed.oldest)

    async def list(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName,
        wanted: subscriptions.EventFilter,
        after: int | None,
        page: pages.PageRequest,
    ) -> pages.Page[events.Record]:
        """A page of a namespace's events behind a sequence (None: from the oldest there is).

        Raises `errors.NotFound`, and `errors.OutOfRange` if some are gone.
        """
        policy.require(caller, policy.Action.READ_EVENTS, parent)
        span = await self._span(parent)
        position = int(page.after) if page.after else after
        position = span.compacted if position is None else position
        _require_within(parent, span, position)
        found: list[tuple[str, events.Record]] = []
        stop = min(span.last, position + _LOOKED_AT)
        while position < stop and len(found) < page.size:
            for record in await self._read(span, parent, position):
                position = record.sequence
                if wanted.fits(record.action, record.resource):
                    found.append((str(position), record))
                if len(found) == page.size:
                    break
        return pages.Page(found, more=position < span.last, reached=str(position))

    async def _next(
        self, span: event_log.Span, feed: event_feeds.Feed, parent: names.NamespaceName, after: int
    ) -> Sequence[events.Record]:
        return feed.after(after, _AT_ONCE) or await self._read(span, parent, after)

    async def _read(
        self, span: event_log.Span, parent: names.NamespaceName, after: int
    ) -> Sequence[events.Record]:
        """The next events, of which there are some, from the table."""
        records = await self._feeds.read(span.namespace_id, after)
        if not records or records[0].sequence != after + 1:
            _require_within(parent, await self._span(parent), after)
            raise errors.Unavailable("the event log cannot be read now; go on where you were")
        return records

    async def _span(self, parent: names.NamespaceName) -> event_log.Span:
        async with self._db.connection() as connection:
            return await event_log.get_span(connection, parent)

    def _require_open(self) -> None:
        if self._feeds.closed:
            raise errors.Unavailable("the server stops; go on where you were, on another replica")
        if self._feeds.failing:
            raise errors.Unavailable("the database does not answer now; go on where you were")

    def _patience_s(self) -> float:
        """Not the same for all, so that idle watchers are not all told at once."""
        return self._idle_s * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def _require_within(parent: names.NamespaceName, span: event_log.Span, after: int) -> None:
    if after < span.compacted:
        raise errors.OutOfRange(
            f"events of {parent} up to {span.compacted} are gone; go on with after_sequence "
            f"{span.compacted}, and read the present state of what you follow anew",
            reason="EVENTS_COMPACTED",
            oldest_sequence=span.oldest,
            last_sequence=span.last,
        )
    if after > span.last:
        raise errors.OutOfRange(
            f"{parent} has no event {after} yet, the last is {span.last}; if the database was "
            f"restored from a backup, go on with after_sequence {span.last}",
            reason="SEQUENCE_AHEAD",
            oldest_sequence=span.oldest,
            last_sequence=span.last,
        )
