"""Bringing a Hugging Face cache into a registry: a snapshot is a version."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelkeep.client import (
    digesting,
    errors,
    progress,
    push,
    records,
    refs,
    specs,
    tree,
    workers,
)
from modelkeep.client.exchange import facts, hf_cache, hf_card, incoming, landing, reports

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_CARD = "README.md"
_CONFIG = "config.json"
_NUMBERS = re.compile(r"(\d+)\.(\d+)\..*")
_SHOWN_FILES = 5


class CacheImport:
    """One import of one cache; `run` is called once.

    Args:
        registry: where to.
        namespace: the namespace to import into.
        pool: threads that read.
        listener: hears how far it is.
        is_dry_run: tell what would be done, and write nothing.
    """

    def __init__(
        self,
        registry: "Registry",
        namespace: str,
        pool: workers.Workers,
        listener: progress.Progress,
        *,
        is_dry_run: bool,
    ) -> None:
        self._registry = registry
        self._namespace = refs.parse_namespace(namespace).namespace
        self._pool = pool
        self._listener = listener
        self._is_dry_run = is_dry_run

    async def run(self, cache: Path, wanted: Sequence[str]) -> reports.ImportReport:
        """Bring every snapshot that is not there, compare and tell.

        Raises:
            BadSource: there is no such cache, or it lacks a repository.
            BadTree: a path cannot be a version's file, or leads out of the cache.
        """
        found = await self._pool.submit(lambda: hf_cache.scan(cache, wanted))
        told = [await self._bring(repository) for repository in found]
        return reports.together(f"cache {cache}", told)

    async def _bring(self, repository: hf_cache.CachedRepository) -> reports.ImportReport:
        origin = f"hf://{repository.name}"
        model = incoming.IncomingModel(
            ref=str(refs.Ref(self._namespace, _model_id(repository.name))),
            origin=origin,
            kind=records.ModelKind.MODEL,
            labels={f"{facts.PREFIX}from": facts.cut(origin, facts.MAX_LABEL_CHARS)},
        )
        landed = landing.Landing(
            self._registry, model, self._pool, self._listener, is_dry_run=self._is_dry_run
        )
        await landed.open()
        landed.notes += [
            f"{repository.name}: the download of {name} was never finished, and is skipped."
            for name in repository.incomplete
        ]
        numbers = await self._numbers(model.ref, repository, origin)
        for snapshot in repository.snapshots:
            await self._land(repository, snapshot, numbers[snapshot.commit], landed)
        return await landed.finish(_aliases(repository, numbers, origin, landed))

    async def _numbers(
        self, model: str, repository: hf_cache.CachedRepository, origin: str
    ) -> dict[str, str]:
        """The version of each commit: the one it has, or the next minor one."""
        numbers: dict[str, str] = {}
        highest = (0, 0)
        try:
            async for version in self._registry.list_versions(model, show_deleted=True):
                matched = _NUMBERS.fullmatch(version.version)
                if matched:
                    highest = max(highest, (int(matched[1]), int(matched[2])))
                source = (await self._registry.get_version(version.ref)).source
                if source.repository == origin:  # which lists of versions leave out
                    numbers.setdefault(source.commit, version.version)
        except errors.NotFound:
            numbers = {}  # a dry run, and there is no such model yet
        major, minor = highest
        for snapshot in repository.snapshots:
            if snapshot.commit not in numbers:
                minor += 1
                numbers[snapshot.commit] = f"{major}.{minor}.0"
        return numbers

    async def _land(
        self,
        repository: hf_cache.CachedRepository,
        snapshot: hf_cache.Snapshot,
        version: str,
        landed: landing.Landing,
    ) -> None:
        called = f"{repository.name}@{snapshot.commit[:12]}"
        if snapshot.missing:
            landed.notes.append(f"{called}: {_listed(snapshot.missing)} not downloaded.")
        if not snapshot.files:
            landed.leave_out(called, "none of its files was downloaded", version=version)
            return
        hashed = await digesting.digest_all(snapshot.files, self._pool, self._listener)
        damaged = [
            one.local.path
            for one in hashed
            if snapshot.digests.get(one.local.path, one.digest) != one.digest
        ]
        if damaged:
            landed.tally.compare(called, "bytes of its blobs", "as named", "damaged")
            landed.leave_out(
                called,
                f"damaged in the cache: {', '.join(damaged[:_SHOWN_FILES])}",
                version=version,
            )
            return
        draft = await self._pool.submit(lambda: _draft(repository, snapshot, landed.notes))
        await landed.land(
            incoming.IncomingVersion(
                version=version,
                called=called,
                draft=draft,
                files=tuple(push.listed(one) for one in hashed),
                local=tuple(hashed),
            )
        )


def _model_id(repository: str) -> str:
    return facts.id_of(repository.replace("/", "--"), otherwise="model")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN_FILES])
    more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
    return f"{shown}{more} {'was' if len(names) == 1 else 'were'}"


def _draft(
    repository: hf_cache.CachedRepository, snapshot: hf_cache.Snapshot, notes: list[str]
) -> specs.Draft:
    """What the snapshot says of itself; meant for a thread."""
    there = {file.path: file for file in snapshot.files}
    card = hf_card.read_card(_read(there.get(_CARD)))
    if card.fault:
        notes.append(f"{repository.name}@{snapshot.commit[:12]}: {_CARD}: {card.fault}.")
    architecture, parameters = hf_card.read_config(_read(there.get(_CONFIG)))
    origin = f"hf://{repository.name}@{snapshot.commit}"
    labels, _ = facts.labelled(card.labels, {"from": origin})
    return specs.Draft(
        spec=specs.ModelSpec(
            framework=facts.cut(card.library, 64),
            task=card.task,
            architecture=architecture,
            parameters=parameters,
        ),
        source=specs.Source(repository=f"hf://{repository.name}", commit=snapshot.commit),
        labels=labels,
        card=card.text,
    )


def _read(file: tree.LocalFile | None) -> bytes:
    """The first bytes of a file that is there, else nothing."""
    if file is None:
        return b""
    return tree.content_of(file) if file.size_bytes <= hf_card.MAX_READ_BYTES else b""


def _aliases(
    repository: hf_cache.CachedRepository,
    numbers: dict[str, str],
    origin: str,
    landed: landing.Landing,
) -> list[incoming.IncomingAlias]:
    aliases: dict[str, incoming.IncomingAlias] = {}
    for ref, commit in repository.refs.items():
        if commit not in numbers:
            landed.notes.append(
                f"{repository.name}: {ref} names {commit[:12]}, which is not in the cache."
            )
            continue
        name = ref.removeprefix("refs/")
        alias = facts.alias_of(name, "ref-")
        if alias in aliases:
            landed.notes.append(f"{repository.name}: {ref} would be the alias {alias} as well.")
            continue
        why = facts.reason(origin, why=f"{ref} is {commit}")
        aliases[alias] = incoming.IncomingAlias(alias=alias, version=numbers[commit], reason=why)
    return list(aliases.values())
