"""Comparing what a registry has with what was to be imported."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from modelkeep.client import errors, records, reservation, specs
from modelkeep.client.exchange import facts, incoming, reports

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_READABLE = (records.VersionState.READY, records.VersionState.QUARANTINED)


async def has_files(registry: "Registry", ref: str, files: Sequence[records.File]) -> bool:
    """Whether a version holds these files and no others; digests that are unknown count as equal.

    Where a version has no list of files that can be read, it does not.
    """
    try:
        found = [file async for file in registry.list_files(ref)]
    except (errors.NotFound, errors.Refused):
        return False
    return len(found) == len(files) and len(_equal(files, found)) == len(files)


def _equal(wanted: Iterable[records.File], found: Iterable[records.File]) -> list[records.File]:
    """Those files that are there, byte for byte as far as the source tells."""
    there = {file.path: file for file in found}
    return [
        file
        for file in wanted
        if file.path in there
        and there[file.path].size_bytes == file.size_bytes
        and file.digest in {"", there[file.path].digest}
    ]


class Check:
    """One comparison of one model; what it finds goes into the tally."""

    def __init__(
        self, registry: "Registry", model: incoming.IncomingModel, tally: reports.Tally
    ) -> None:
        self._registry = registry
        self._model = model
        self._tally = tally
        self._digests: tuple[set[str], set[str]] = (set(), set())

    async def run(
        self,
        versions: Sequence[incoming.IncomingVersion],
        aliases: Sequence[incoming.IncomingAlias],
    ) -> None:
        """Read everything back and compare it."""
        await self._check_model()
        for version in versions:
            await self._check_version(version)
        self._tally.count("digests", *map(len, self._digests))
        await self._check_aliases(aliases)

    async def _check_model(self) -> None:
        present, wanted = await self._registry.get_model(self._model.ref), self._model
        for what in ("owner", "description"):
            if getattr(wanted, what):
                self._tally.compare(wanted.ref, what, getattr(wanted, what), getattr(present, what))
        labels = _noted(wanted.labels, present.labels)
        kept = {key: present.labels.get(key) for key in labels}
        self._tally.compare(wanted.ref, "labels", labels, kept)

    async def _check_version(self, wanted: incoming.IncomingVersion) -> None:
        ref = f"{self._model.ref}@{wanted.version}"
        present = await self._registry.get_version(ref)
        found: list[records.File] = []
        if present.state in _READABLE:
            found = [file async for file in self._registry.list_files(ref)]
        equal = _equal(wanted.files, found)
        same_files = self._tally.compare(
            ref, "files", _listed(wanted.files), _listed(equal)
        ) and self._tally.compare(ref, "other files", 0, len(found) - len(equal))
        is_ready = self._tally.compare(ref, "state", "ready", present.state.value)
        self._tally.count("versions", 1, int(same_files and is_ready))
        self._count_files(wanted.files, equal)
        self._compare_words(ref, wanted, present)
        at_stage = self._tally.compare(ref, "stage", wanted.stage, present.stage)
        self._tally.count("stages", 1, int(at_stage))

    def _count_files(self, wanted: Sequence[records.File], equal: Sequence[records.File]) -> None:
        self._tally.count("files", len(wanted), len(equal))
        self._tally.count("bytes", _bytes(wanted), _bytes(equal))
        for digests, files in zip(self._digests, (wanted, equal), strict=True):
            digests.update(file.digest for file in files if file.digest)

    def _compare_words(
        self, ref: str, wanted: incoming.IncomingVersion, present: records.Version
    ) -> None:
        draft = wanted.draft
        compare = self._tally.compare
        compare(
            ref, "spec", reservation.comparable(draft.spec), reservation.comparable(present.spec)
        )
        compare(ref, "datasets", set(draft.datasets), set(present.datasets))
        compare(ref, "source", draft.source, present.source)
        compare(ref, "description", draft.description, present.description)
        compare(ref, "card", draft.card, present.card)
        for what, there, here in (
            ("metrics", draft.metrics, present.metrics),
            ("labels", _noted(draft.labels, present.labels), present.labels),
            ("parameters", _parameters(draft.spec), _parameters(present.spec)),
        ):
            equal = {key for key, value in there.items() if here.get(key) == value}
            self._tally.count(what, len(there), len(equal))
            for key in sorted(set(there) - equal):
                compare(ref, f"{what}.{key}", there[key], here.get(key))

    async def _check_aliases(self, aliases: Sequence[incoming.IncomingAlias]) -> None:
        found = {
            alias.alias: alias.version.rpartition("/")[2]
            async for alias in self._registry.list_aliases(self._model.ref)
        }
        for alias in aliases:
            ref = f"{self._model.ref}@{alias.alias}"
            equal = self._tally.compare(ref, "alias", alias.version, found.get(alias.alias))
            self._tally.count("aliases", 1, int(equal))


def _parameters(spec: specs.ModelSpec | specs.PromptSpec | None) -> dict[str, object]:
    return dict(spec.parameters) if isinstance(spec, specs.ModelSpec) else {}


def _noted(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """The labels to look for; facts of the origin only where an import made what is there.

    What was there before, the original itself perhaps, is not described anew.
    """
    by_import = any(key.startswith(facts.PREFIX) for key in present)
    return {
        key: value for key, value in wanted.items() if by_import or not key.startswith(facts.PREFIX)
    }


def _bytes(files: Iterable[records.File]) -> int:
    return sum(file.size_bytes for file in files)


def _listed(files: Iterable[records.File]) -> list[str]:
    return sorted(file.path for file in files)
