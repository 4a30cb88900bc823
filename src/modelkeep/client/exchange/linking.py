"""Links of the lineage that somebody added: read, brought to another registry and compared."""

import contextlib
import dataclasses
from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING

from modelkeep.client import errors, lineage, refs
from modelkeep.client.exchange import facts, incoming, reports

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_UNLINKED = (errors.Refused, errors.InvalidRequest, errors.NotFound)


async def of_version(registry: "Registry", ref: str) -> tuple[list[lineage.LineageLink], bool]:
    """The links of a version that its own content does not say, and whether these are all."""
    found = await registry.lineage(ref, depth=1)
    own = lineage.LineageNode(lineage.LineageKind.VERSION, ref)
    links = [link for link in found.links if own in (link.source, link.target)]
    return [link for link in links if not link.sealed], not found.truncated


def identity(link: lineage.LineageLink) -> Hashable:
    """What tells links apart: what was made, from what, and how."""
    return (link.source, link.target, link.relation)


def order(link: lineage.LineageLink) -> tuple[str, ...]:
    """By when they were added; those of the same instant by what they are between."""
    return (facts.instant(link.created_at), str(link.source), str(link.target), link.relation)


class Linking:
    """Brings links to the versions of one model; `notes` tells what was not taken."""

    def __init__(self, registry: "Registry", model: str) -> None:
        self._registry = registry
        self._model = model
        self._namespace = refs.parse_model(model).namespace
        self.notes: list[str] = []

    async def add(self, links: Iterable[incoming.IncomingLink], there: Collection[str]) -> None:
        """Add those that are missing, of versions that are there."""
        wanted = [one for one in links if set(one.versions) <= set(there)]
        known = await self._present(wanted)
        for one in wanted:
            if identity(one.link) not in known:
                await self._add_one(one)

    async def _add_one(self, one: incoming.IncomingLink) -> None:
        plain = dataclasses.replace(one.link, reason="", actor="", created_at=None)
        try:
            await self._registry.add_lineage(plain, namespace=self._namespace, reason=one.reason)
        except _UNLINKED as refused:
            shown = f"{one.link.source} \N{RIGHTWARDS ARROW} {one.link.target}"
            self.notes.append(f"The link {shown} was not added: {refused.message.rstrip('.')}.")

    async def count_missing(
        self, links: Iterable[incoming.IncomingLink], there: Collection[str]
    ) -> int:
        """How many would be added."""
        wanted = [one for one in links if set(one.versions) <= set(there)]
        known = await self._present(wanted)
        return sum(identity(one.link) not in known for one in wanted)

    async def _present(self, links: Iterable[incoming.IncomingLink]) -> set[Hashable]:
        """What is linked to the versions of these links, sealed or added."""
        versions = sorted({version for one in links for version in one.versions})
        found: set[Hashable] = set()
        for version in versions:
            with contextlib.suppress(errors.NotFound):  # in a dry run nothing is there yet
                answer = await self._registry.lineage(f"{self._model}@{version}", depth=1)
                found.update(map(identity, answer.links))
        return found

    async def compare(
        self,
        links: Iterable[incoming.IncomingLink],
        there: Collection[str],
        tally: reports.Tally,
    ) -> None:
        """Count and compare what then is there."""
        wanted = list(links)
        known = await self._present([one for one in wanted if set(one.versions) <= set(there)])
        for one in wanted:
            is_there = identity(one.link) in known
            tally.count("links", 1, int(is_there))
            if not is_there:
                tally.compare(str(one.link.target), "link", str(one.link.source), None)
