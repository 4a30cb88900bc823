"""Keeps the event log and the log of deliveries at their retention, a little in each round."""

import datetime
from dataclasses import dataclass

import structlog

from modelkeep.domain import sight
from modelkeep.storage import database, deliveries
from modelkeep.storage import event_compacting as rows

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """How long events stay, and how much one round does.

    Attributes:
        retention: how long.
        events: most events deleted in one transaction.
        batches: most transactions for one namespace.
        namespaces: most namespaces; the next round goes on behind them.
        deliveries: most finished deliveries forgotten.
    """

    retention: datetime.timedelta = datetime.timedelta(days=30)
    events: int = 1000
    batches: int = 10
    namespaces: int = 100
    deliveries: int = 5000


class Compactor:
    """Deletes what is old; several may run at once, what is decided is the same twice."""

    def __init__(self, db: database.Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._after = 0

    async def round(self) -> int:
        """Delete old events and forget old deliveries; the number of events."""
        chosen = self._settings
        async with self._db.everywhere(sight.Work.COMPACT_EVENTS) as connection:
            old = await rows.list_old(connection, self._after, chosen.retention, chosen.namespaces)
        deleted = sum([await self._compact(namespace_id) for namespace_id in old])
        self._after = old[-1] if len(old) == chosen.namespaces else 0
        async with self._db.everywhere(sight.Work.COMPACT_EVENTS) as connection:
            forgotten = await deliveries.forget(connection, chosen.retention, chosen.deliveries)
        if deleted or forgotten:
            _log.info("events.compacted", events=deleted, deliveries=forgotten)
        return deleted

    async def _compact(self, namespace_id: int) -> int:
        deleted = 0
        for _ in range(self._settings.batches):
            batch = await self._delete(namespace_id)
            deleted += batch
            if batch < self._settings.events:
                break
        return deleted

    async def _delete(self, namespace_id: int) -> int:
        chosen = self._settings
        everywhere = self._db.everywhere(sight.Work.COMPACT_EVENTS)
        async with everywhere as connection, connection.transaction():
            return await rows.compact(connection, namespace_id, chosen.retention, chosen.events)
