"""Bringing a bundle into a registry."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelkeep.client import errors, progress, refs, tree, workers
from modelkeep.client.exchange import (
    bundle_file,
    bundle_records,
    facts,
    incoming,
    landing,
    left_behind,
    rebasing,
    reports,
)

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_CREATED = "created"


class BundleImport:
    """One import of one bundle; `run` is called once.

    Args:
        registry: where to.
        into: the namespace or model to import into; empty for the one the bundle names.
        pool: threads that read.
        listener: hears how far it is.
        is_dry_run: tell what would be done, and write nothing.
    """

    def __init__(
        self,
        registry: "Registry",
        into: str,
        pool: workers.Workers,
        listener: progress.Progress,
        *,
        is_dry_run: bool,
    ) -> None:
        self._registry = registry
        self._into = into
        self._pool = pool
        self._listener = listener
        self._is_dry_run = is_dry_run

    async def run(self, path: Path) -> reports.ImportReport:
        """Check the whole bundle, bring what is missing, compare and tell.

        Raises:
            BadSource: the bundle is damaged or none; nothing was imported.
            RegistryError: the registry refused or failed; the same import goes on later.
        """
        source = await self._pool.submit(lambda: bundle_file.read(path))
        await source.check_bytes(self._pool, self._listener)
        bundle = source.bundle
        model = _model(bundle, self._target(bundle))
        landed = landing.Landing(
            self._registry, model, self._pool, self._listener, is_dry_run=self._is_dry_run
        )
        rebase = rebasing.Rebasing(self._registry, bundle, model.ref, is_dry_run=self._is_dry_run)
        await landed.open()
        for version in bundle.versions:
            await landed.land(await self._incoming(version, source, rebase, landed.notes))
        records = incoming.IncomingRecords(
            evaluations=tuple(_evaluations(bundle, landed.notes)),
            links=await rebase.links(model.origin, landed.notes),
        )
        landed.notes += _missing_of(bundle)
        aliases = [_alias(alias, model.origin) for alias in bundle.aliases]
        return await landed.finish(aliases, records)

    def _target(self, bundle: bundle_records.Bundle) -> str:
        named = refs.parse_model(bundle.name)
        if not self._into:
            return str(named)
        into = refs.parse(self._into)
        if into.selector:
            raise errors.BadReference(
                f"{self._into!r} names a version; import into a namespace or a model.",
                reason="BAD_REFERENCE",
            )
        return str(refs.Ref(into.namespace, into.model or named.model))

    async def _incoming(
        self,
        version: bundle_records.BundledVersion,
        source: bundle_file.BundleFile,
        rebase: rebasing.Rebasing,
        notes: list[str],
    ) -> incoming.IncomingVersion:
        bundle = source.bundle
        called = f"{bundle.name}@{version.version}"
        labels, lost = facts.labelled(
            version.draft.labels,
            _facts(bundle, version),
            _history(bundle, version.version),
        )
        if lost:
            notes.append(
                f"{called}: {lost} entries of its history found no room, or not whole, among the"
                " labels; the bundle has them."
            )
        spec = await rebase.spec(version, notes)
        return incoming.IncomingVersion(
            version=version.version,
            called=called,
            draft=dataclasses.replace(version.draft, labels=labels, spec=spec),
            files=version.files,
            local=tuple(_local(version, source.blobs)),
            stage=version.stage,
            stage_reason=_stage_reason(bundle, version),
            signatures=version.signatures,
        )


def _model(bundle: bundle_records.Bundle, ref: str) -> incoming.IncomingModel:
    origin = f"bundle of {bundle.name}"
    labels, _ = facts.labelled(
        bundle.labels,
        {
            "from": origin,
            "creator": bundle.creator,
            "created_at": facts.instant(bundle.created_at),
        },
    )
    return incoming.IncomingModel(
        ref=ref,
        origin=origin,
        kind=bundle.kind,
        owner=bundle.owner,
        description=bundle.description,
        labels=labels,
    )


def _facts(
    bundle: bundle_records.Bundle, version: bundle_records.BundledVersion
) -> Mapping[str, str]:
    return {
        "from": f"{bundle.name}@{version.version}",
        "creator": version.creator,
        "client": version.create_client,
        "created_at": facts.instant(version.created_at),
        "finalized_at": facts.instant(version.finalized_at),
        "ordinal": str(version.ordinal),
    }


def _history(bundle: bundle_records.Bundle, version: str) -> Iterator[str]:
    """What pointed at a version, and where it stood, in the order in which it happened."""
    moves = [("alias", move) for move in bundle.alias_history if move.version == version]
    moves += [
        ("stage", move)
        for move in bundle.stage_history
        if move.version == version and move.reason != _CREATED
    ]
    for kind, move in sorted(moves, key=lambda one: facts.instant(one[1].begun_at)):
        span = f"{facts.instant(move.begun_at)}/{facts.instant(move.ended_at)}"
        by = f" by {move.actor}" if move.actor else ""
        yield f"{span} {kind} {move.subject}{by}: {move.reason}".removesuffix(": ")


def _local(
    version: bundle_records.BundledVersion, blobs: Mapping[str, tree.LocalFile]
) -> Iterator[tree.HashedFile]:
    for file in version.files:
        placed = dataclasses.replace(blobs[file.digest], path=file.path, media_type=file.media_type)
        yield tree.HashedFile(placed, file.digest)


def _stage_reason(bundle: bundle_records.Bundle, version: bundle_records.BundledVersion) -> str:
    """Why the version stands where it does: its last move, as the bundle has it."""
    moves = [move for move in bundle.stage_history if move.version == version.version]
    if not moves:
        return facts.reason(f"bundle of {bundle.name}")
    last = moves[-1]
    return facts.reason(
        f"bundle of {bundle.name}", actor=last.actor, at=last.begun_at, why=last.reason
    )


def _alias(alias: bundle_records.BundledAlias, origin: str) -> incoming.IncomingAlias:
    return incoming.IncomingAlias(
        alias=alias.alias,
        version=alias.version,
        reason=facts.reason(origin, actor=alias.actor, at=alias.set_at, why=alias.reason),
    )


def _evaluations(
    bundle: bundle_records.Bundle, notes: list[str]
) -> Iterator[incoming.IncomingEvaluation]:
    """The evaluations with notes that say which they were; the first origin stays."""
    for said in bundle.evaluations:
        note = said.note
        if not facts.is_by_import(note):
            note = facts.note(said.ref, actor=said.actor, at=said.created_at, why=said.note)
        if not note.endswith(said.note):
            notes.append(f"The note of {said.ref} found no room whole; the bundle has it.")
        version = refs.parse_version(said.ref.rpartition("/")[0]).selector
        yield incoming.IncomingEvaluation(version=version, said=said, note=note)


def _missing_of(bundle: bundle_records.Bundle) -> Sequence[str]:
    """What a person should know that the bundle does not have."""
    old = bundle_records.OLDEST_VERSION
    if bundle.format_version > old:
        return left_behind.told(bundle.left_behind)
    note = (
        f"The bundle is of format {old}, which has no evaluations and no added links; export again"
        " with a newer modelkeep if the source has any."
    )
    return [note]
