"""Bringing a bundle into a registry."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelkeep.client import errors, progress, records, refs, specs, tree, workers
from modelkeep.client.exchange import (
    bundle_file,
    bundle_records,
    facts,
    incoming,
    landing,
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
        await landed.open()
        for version in bundle.versions:
            await landed.land(await self._incoming(version, model, source, landed.notes))
        return await landed.finish([_alias(alias, model.origin) for alias in bundle.aliases])

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
        model: incoming.IncomingModel,
        source: bundle_file.BundleFile,
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
        spec = await self._rebased(version, bundle, model.ref, notes)
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

    async def _rebased(
        self,
        version: bundle_records.BundledVersion,
        bundle: bundle_records.Bundle,
        target: str,
        notes: list[str],
    ) -> specs.ModelSpec | specs.PromptSpec:
        """The spec with its base as this registry knows it; as a URI if it does not."""
        spec = version.draft.spec
        if isinstance(spec, specs.PromptSpec) or spec.base is None or not spec.base.version:
            return spec
        base = refs.parse_version(spec.base.version)
        is_before = _is_before(base, version, bundle)
        if is_before:
            base = dataclasses.replace(refs.parse_model(target), selector=base.selector)
        # What is imported before is there by now, unless it was refused; a dry run trusts it.
        if (is_before and self._is_dry_run) or await self._is_ready(base):
            found = dataclasses.replace(spec.base, version=base.version_name)
        else:
            notes.append(
                f"{bundle.name}@{version.version}: its base {base} is not ready here and is"
                " kept as a URI; import the base first to have it linked."
            )
            found = dataclasses.replace(spec.base, version="", uri=f"modelkeep:{base}")
        return dataclasses.replace(spec, base=found)

    async def _is_ready(self, base: refs.Ref) -> bool:
        try:
            found = await self._registry.get_version(str(base))
        except errors.NotFound:
            return False
        return found.state is records.VersionState.READY


def _is_before(
    base: refs.Ref, version: bundle_records.BundledVersion, bundle: bundle_records.Bundle
) -> bool:
    """Whether the base is imported by the same run, before the version made from it."""
    earlier = {one.version for one in bundle.versions if one.ordinal < version.ordinal}
    return f"{base.namespace}/{base.model}" == bundle.name and base.selector in earlier


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
