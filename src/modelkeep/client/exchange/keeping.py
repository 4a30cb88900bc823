"""What is recorded of versions besides their content: evaluations and links, brought together."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from modelkeep.client.exchange import incoming, linking, recording, reports

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry


class Keeping:
    """Brings records to one model.

    Args:
        registry: where to.
        model: the model: `acme/voice`.
        records: what to bring.
        there: the versions that are there as they are at the source; no others get any.
    """

    def __init__(
        self,
        registry: "Registry",
        model: str,
        records: incoming.IncomingRecords,
        there: Collection[str],
    ) -> None:
        self._records = records
        self._there = there
        self._recorder = recording.Recording(registry, model)
        self._linker = linking.Linking(registry, model)

    @property
    def notes(self) -> list[str]:
        """What was not taken, and why."""
        return self._recorder.notes + self._linker.notes

    async def foresee(self) -> list[str]:
        """What would be brought, for people; writes nothing."""
        wanted = [one for one in self._records.evaluations if one.version in self._there]
        links = self._records.links
        missing = {
            "Evaluations that would be recorded": await self._recorder.count_missing(wanted),
            "Links that would be added": await self._linker.count_missing(links, self._there),
        }
        return [f"{what}: {count}." for what, count in missing.items() if count]

    async def bring(self) -> None:
        """Record and link what is missing."""
        wanted = [one for one in self._records.evaluations if one.version in self._there]
        await self._recorder.record(wanted)
        await self._linker.add(self._records.links, self._there)

    async def compare(self, tally: reports.Tally) -> None:
        """Read all of it back; count and compare."""
        await self._recorder.compare(self._records.evaluations, self._there, tally)
        await self._linker.compare(self._records.links, self._there, tally)
