"""Use cases of the event log: following it and listing it."""

import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, names, pages, subscriptions
from modelkeep.service import covered_events, event_feeds
from modelkeep.storage import database, event_log

_AT_ONCE = 100
_LOOKED_AT = 20 * event_log.READ_EVENTS
"""Events that one page of a list looks at, at most; few may fit the filter."""


@dataclass(frozen=True, slots=True)
class _Followed:
    """A namespace's log, and what of it is wanted; `covered` if only some models' events are."""

    parent: names.NamespaceName
    span: event_log.Span
    wanted: subscriptions.EventFilter
    covered: covered_events.Covered | None

    async def fitting(self, records: Sequence[events.Record]) -> list[events.Record]:
        """Those of the log's next events that are to be sent."""
        shown = records if self.covered is None else await self.covered.shown(records)
        return [one for one in shown if self.wanted.fits(one.action, one.resource)]


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

        Who was given some models only is sent what is about these; sequences stay the namespace's.
        Raises `errors.NotFound`, `errors.OutOfRange` if some are gone or the sequence lies ahead,
        and `errors.Unavailable` when the server drains or its database is away.
        """
        only = policy.require_some(caller, policy.Action.READ_EVENTS, parent)
        log = await self._follow(parent, wanted, only)
        position = told = log.span.last if after is None else after
        _require_within(parent, log.span, position)
        async with self._feeds.joined(log.span) as feed:
            yield subscriptions.Checkpoint(position, log.span.oldest)
            while True:
                self._require_open()
                if position >= feed.last:
                    if not await feed.changed(self._patience_s()):
                        yield subscriptions.Checkpoint(position, feed.oldest)
                        told = position
                    continue
                records, position = await self._next(log, feed, position)
                for record in await log.fitting(records):
                    yield record
                    told = record.sequence
                if position - told >= _AT_ONCE:
                    yield subscriptions.Checkpoint(position, feed.oldest)
                    told = position

    async def list(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName,
        wanted: subscriptions.EventFilter,
        after: int | None,
        page: pages.PageRequest,
    ) -> pages.Page[events.Record]:
        """A page of a namespace's events behind a sequence (None: from the oldest there is).

        Who was given some models only is shown what is about these. Raises `errors.NotFound`, and
        `errors.OutOfRange` if some are gone.
        """
        only = policy.require_some(caller, policy.Action.READ_EVENTS, parent)
        log = await self._follow(parent, wanted, only)
        last = log.span.last
        position = int(page.after) if page.after else after
        position = log.span.compacted if position is None else position
        _require_within(parent, log.span, position)
        found: list[events.Record] = []
        looked_at = 0
        while position < last and looked_at < _LOOKED_AT and len(found) < page.size:
            records, position = await self._read(log, last, position)
            looked_at += len(records)
            found += await log.fitting(records)
        if len(found) > page.size:
            del found[page.size :]
            position = found[-1].sequence
        entries = [(str(record.sequence), record) for record in found]
        return pages.Page(entries, more=position < last, reached=str(position))

    async def _follow(
        self,
        parent: names.NamespaceName,
        wanted: subscriptions.EventFilter,
        only: frozenset[str] | None,
    ) -> _Followed:
        span = await self._span(parent)
        covered = None
        if only is not None:
            covered = covered_events.Covered(self._feeds, parent, span.namespace_id, only)
            await covered.begin()
        return _Followed(parent, span, wanted, covered)

    async def _next(
        self, log: _Followed, feed: event_feeds.Feed, after: int
    ) -> tuple[Sequence[events.Record], int]:
        records = feed.after(after, _AT_ONCE)
        return (
            (records, records[-1].sequence) if records else await self._read(log, feed.last, after)
        )

    async def _read(
        self, log: _Followed, last: int, after: int
    ) -> tuple[Sequence[events.Record], int]:
        """The next events from the table, and how far that went, which is further than before."""
        if log.covered is not None:
            found = await log.covered.read(last, after)
            _require_within(log.parent, await self._span(log.parent), after)  # nothing was missed
            return found
        records = await self._feeds.read(log.span.namespace_id, after)
        if not records or records[0].sequence != after + 1:
            _require_within(log.parent, await self._span(log.parent), after)
            raise errors.Unavailable("the event log cannot be read now; go on where you were")
        return records, records[-1].sequence

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
