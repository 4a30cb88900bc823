"""Stages and aliases of what was imported: set where nobody has decided otherwise."""

import contextlib
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from modelkeep.client import errors, history_records
from modelkeep.client.exchange import facts, incoming

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_WAYS = {
    (incoming.DEVELOPMENT, incoming.PRODUCTION): (incoming.STAGING, incoming.PRODUCTION),
    (incoming.ARCHIVED, incoming.PRODUCTION): (incoming.STAGING, incoming.PRODUCTION),
    (incoming.PRODUCTION, incoming.DEVELOPMENT): (incoming.STAGING, incoming.DEVELOPMENT),
}
"""Moves that go by way of another stage; all others are one move."""
_CREATED = "created"
"""The reason of the stage that every version begins in."""


class Pointing:
    """Sets stages and aliases of one model; `notes` tells what was left as it is."""

    def __init__(self, registry: "Registry", model: str) -> None:
        self._registry = registry
        self._model = model
        self.notes: list[str] = []

    async def move(self, versions: Iterable[incoming.IncomingVersion]) -> None:
        """Move versions to their stages, the one in production last."""
        ordered = sorted(versions, key=lambda one: one.stage == incoming.PRODUCTION)
        for version in ordered:
            with self._noting(f"{self._model}@{version.version} was not moved to {version.stage}"):
                await self._move_one(version)

    async def _move_one(self, version: incoming.IncomingVersion) -> None:
        ref = f"{self._model}@{version.version}"
        present = await self._registry.get_version(ref)
        if present.stage == version.stage:
            return
        if not await self._is_free(version):
            return
        way = _WAYS.get((present.stage, version.stage), (version.stage,))
        for stage in way:
            await self._registry.set_stage(ref, stage, reason=version.stage_reason)

    async def _is_free(self, version: incoming.IncomingVersion) -> bool:
        if not await self._only_imports_moved(version.version):
            self.notes.append(
                f"{self._model}@{version.version} was moved by somebody since it was imported, and"
                f" stays where it is; at the source it is in {version.stage}."
            )
            return False
        holder = await self._holder() if version.stage == incoming.PRODUCTION else None
        if holder is None or await self._only_imports_moved(holder):
            return True
        self.notes.append(
            f"{self._model}@{holder} is in production here, so {version.version} was not moved"
            " there; move it with `modelkeep stage` if it shall be."
        )
        return False

    async def _only_imports_moved(self, version: str) -> bool:
        entries = self._registry.stage_history(self._model, version=version)
        return all([_is_by_import(entry) async for entry in entries])

    async def _holder(self) -> str | None:
        try:
            found = await self._registry.resolve(f"{self._model}@{incoming.PRODUCTION}")
        except errors.RegistryError as failure:
            if failure.code in {"NOT_FOUND", "FAILED_PRECONDITION"}:
                return None
            raise
        return found.version

    async def name(self, aliases: Iterable[incoming.IncomingAlias], there: Collection[str]) -> None:
        """Set aliases to versions that are there."""
        for alias in aliases:
            if alias.version in there:
                with self._noting(f"{self._model}@{alias.alias} was not set to {alias.version}"):
                    await self._name_one(alias)

    @contextlib.contextmanager
    def _noting(self, undone: str) -> Iterator[None]:
        """Tell of what a rule forbids, and go on: the rest is worth having, and it is compared."""
        try:
            yield
        except errors.Refused as refused:
            self.notes.append(f"{undone}: {refused.message.rstrip('.')}.")

    async def _name_one(self, alias: incoming.IncomingAlias) -> None:
        ref = f"{self._model}@{alias.version}"
        try:
            present = await self._registry.get_alias(self._model, alias.alias)
        except errors.NotFound:
            await self._registry.set_alias(ref, alias.alias, reason=alias.reason, if_absent=True)
            return
        pointed = present.version.rpartition("/")[2]
        if pointed == alias.version:
            return
        if facts.is_by_import(present.reason):
            await self._registry.set_alias(ref, alias.alias, reason=alias.reason, etag=present.etag)
            return
        self.notes.append(
            f"{self._model}@{alias.alias} points at {pointed} here and stays there; at the source"
            f" it points at {alias.version}."
        )


def _is_by_import(entry: history_records.StageAssignment) -> bool:
    begun = entry.stage == incoming.DEVELOPMENT and entry.reason == _CREATED
    return begun or facts.is_by_import(entry.reason)
