"""The events that somebody is shown who was given some models, and not their namespace."""

from collections.abc import Iterable, Sequence

from modelkeep.domain import events, names, subscriptions
from modelkeep.service import event_feeds
from modelkeep.storage import database, event_log, model_names
from modelkeep.storage import models as model_rows

_NAMING = frozenset({"model.created", "model.moved"})


class Covered:
    """Some models of a namespace, by all names that they have and had; `begin` comes first.

    Args:
        feeds: whose turns to read the table are taken.
        parent: the namespace.
        namespace_id: its row.
        only: ids of the models, as they are today or were.
    """

    def __init__(
        self,
        feeds: event_feeds.Feeds,
        parent: names.NamespaceName,
        namespace_id: int,
        only: frozenset[str],
    ) -> None:
        self._feeds = feeds
        self._parent = parent
        self._namespace_id = namespace_id
        self._only = only
        self._model_ids: frozenset[int] = frozenset()
        self._resources: frozenset[str] = frozenset()

    async def begin(self) -> None:
        """Find the models by the names that the caller was given them by."""
        async with self._feeds.reading() as connection:
            await self._look_up(connection)

    async def shown(self, records: Sequence[events.Record]) -> list[events.Record]:
        """Those of the namespace's next events that are about the models."""
        if not _NAMING.isdisjoint(one.action for one in records):
            await self.begin()
        return list(self._fitting(records))

    async def read(self, last: int, after: int) -> tuple[Sequence[events.Record], int]:
        """The next events about the models from the table, up to a sequence; how far that went."""
        span = event_log.Span(self._namespace_id, after, last)
        async with self._feeds.reading() as connection:
            resources = await self._look_up(connection)
            records = await event_log.read_of_models(connection, span, after, resources)
        return records, records[-1].sequence if records else last

    def _fitting(self, records: Iterable[events.Record]) -> Iterable[events.Record]:
        for one in records:
            if subscriptions.is_about_one_of(self._resources, one.action, one.resource):
                yield one

    async def _look_up(self, connection: database.Connection) -> frozenset[str]:
        """Resource names of the models. One that was found stays, whatever it is called later."""
        found = await model_rows.find_ids(connection, self._namespace_id, self._only)
        self._model_ids |= frozenset(found or ())
        known = await model_names.list_all(connection, self._model_ids, self._namespace_id)
        self._resources = frozenset(
            str(names.ModelName(self._parent.namespace, name)) for name in known
        )
        return self._resources
