"""What a registry has of a model that bundles do not carry: counted, so that nobody misses it."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING

from modelkeep.client import compliance_records, errors, records, refs
from modelkeep.client.exchange import json_entries

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_KEY = "left_behind"
_WORDS = re.compile(r"[a-z][a-z ]{0,39}")
_Question = Callable[[], Awaitable[int]]


async def count(
    registry: "Registry", model: records.Model, there: Collection[str]
) -> tuple[dict[str, int], list[str]]:
    """How many of each there are of a model and those versions, and what could not be seen."""
    counted = _Counting(registry, model.ref, {f"{model.ref}@{version}" for version in there})
    unseen: list[str] = []
    found = {"risk settings": _risk_settings(model)}
    for what, asked in counted.questions().items():
        try:
            found[what] = await asked()
        except errors.NotFound:
            continue
        except errors.Refused as refused:
            unseen.append(f"{what} ({refused.message.rstrip('.')})")
    notes = [f"Whether there are {', '.join(unseen)} could not be seen."] if unseen else []
    return {what: number for what, number in sorted(found.items()) if number}, notes


def _risk_settings(model: records.Model) -> int:
    said = model.risk_tier is not compliance_records.RiskTier.UNSPECIFIED
    return int(said) + bool(model.revalidation_days)


class _Counting:
    """Counts what is of a model itself, not of its namespace, or of the versions exported."""

    def __init__(self, registry: "Registry", model: str, versions: Collection[str]) -> None:
        self._registry = registry
        self._model = model
        self._versions = versions

    def questions(self) -> Mapping[str, _Question]:
        return {
            "alias protections": self._protections,
            "gate policies": self._policies,
            "evaluation plans": self._plans,
            "transitions": self._transitions,
            "deployments": self._deployments,
        }

    async def _protections(self) -> int:
        found = await self._registry.list_alias_protections(self._model)
        return sum(refs.from_name(one.parent) == self._model for one in found)

    async def _policies(self) -> int:
        found = self._registry.list_gate_policies(self._model)
        return sum([one.owner == self._model async for one in found])

    async def _plans(self) -> int:
        await self._registry.get_evaluation_plan(self._model)
        return 1

    async def _transitions(self) -> int:
        return await self._of_versions(
            one.version async for one in self._registry.list_transitions(self._model)
        )

    async def _deployments(self) -> int:
        return await self._of_versions(
            one.version async for one in self._registry.list_deployments(self._model)
        )

    async def _of_versions(self, found: AsyncIterator[str]) -> int:
        return sum([version in self._versions async for version in found])


def read(document: json_entries.Entry) -> dict[str, int]:
    """The counts of an index; raises BadSource if they are none."""
    if _KEY not in document.fields:
        return {}
    entry = document.entry(_KEY)
    for what in entry.fields:
        if not _WORDS.fullmatch(what):
            raise entry.wrong(repr(what[:80]), "is not a few words in lower case")
    return {what: entry.whole(what) for what in sorted(entry.fields)}


def told(counts: Mapping[str, int]) -> list[str]:
    """A note of what is left behind, or none."""
    if not counts:
        return []
    what = ", ".join(f"{number} {name}" for name, number in counts.items())
    note = (
        f"Not in the bundle, because they are a registry's own rules and records: {what}; set the"
        " rules anew where they shall hold."
    )
    return [note]
