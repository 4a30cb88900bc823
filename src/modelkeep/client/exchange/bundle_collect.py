"""Asking a registry for all that a bundle says."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from modelkeep.client import errors, history_records, lineage, pull, records, refs, specs
from modelkeep.client.exchange import bundle_records, left_behind, linking, measured

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry


async def collect(registry: "Registry", ref: refs.Ref) -> tuple[bundle_records.Bundle, list[str]]:
    """The bundle of a version, or of all of a model's, and what is left out of it.

    Raises:
        NotFound: there is nothing of that name, or nothing that can be exported.
    """
    model = await registry.get_model(f"{ref.namespace}/{ref.model}")
    notes: list[str] = []
    wanted = await _wanted(registry, ref, notes)
    versions = [await _version(registry, version) for version in wanted]
    there = {version.version for version in versions}
    left, unseen = await left_behind.count(registry, model, there)
    bundle = bundle_records.Bundle(
        name=model.ref,
        kind=model.kind,
        owner=model.owner,
        description=model.description,
        labels=model.labels,
        creator=model.creator,
        created_at=model.created_at,
        versions=tuple(versions),
        aliases=await _aliases(registry, model.ref, there),
        alias_history=await _alias_history(registry, model.ref, there),
        stage_history=await _stage_history(registry, model.ref, there),
        evaluations=measured.in_order(
            [await measured.of_version(registry, version) for version in wanted]
        ),
        links=await _links(registry, wanted, notes),
        left_behind=left,
    )
    return bundle, notes + left_behind.told(left) + unseen + _scores(bundle)


def _scores(bundle: bundle_records.Bundle) -> list[str]:
    scored = measured.scored(bundle.evaluations)
    note = (
        f"The scores of single examples behind {scored} metrics are not in the bundle: a registry"
        " does not give them out. The figures made of them are."
    )
    return [note] if scored else []


async def _links(
    registry: "Registry", wanted: Collection[str], notes: list[str]
) -> tuple[lineage.LineageLink, ...]:
    """The links that somebody added to the versions, each once, the first added first."""
    found: dict[object, lineage.LineageLink] = {}
    for ref in wanted:
        links, is_whole = await linking.of_version(registry, ref)
        found.update((linking.identity(link), link) for link in links)
        if not is_whole:
            notes.append(f"{ref} has more links than can be asked for; only some are exported.")
    return tuple(sorted(found.values(), key=linking.order))


async def _wanted(registry: "Registry", ref: refs.Ref, notes: list[str]) -> list[str]:
    if ref.selector:
        found = await registry.resolve(str(ref))
        return [found.ref]
    every = [version async for version in registry.list_versions(str(ref), show_deleted=True)]
    ready = [version for version in every if version.state is records.VersionState.READY]
    notes += [
        f"{version.ref} is left out: it is {version.state}."
        for version in every
        if version.state is not records.VersionState.READY
    ]
    if not ready:
        raise errors.NotFound(
            f"{ref} has no version that could be exported.", reason="NOTHING_TO_EXPORT"
        )
    return [version.ref for version in sorted(ready, key=lambda one: one.ordinal)]


async def _version(registry: "Registry", ref: str) -> bundle_records.BundledVersion:
    found = await registry.get_version(ref)
    files = [file async for file in registry.list_files(ref)]
    pull.check_manifest(found, files)
    return bundle_records.BundledVersion(
        version=found.version,
        ordinal=found.ordinal,
        stage=found.stage,
        manifest_digest=found.manifest_digest,
        draft=_draft(found),
        files=tuple(files),
        creator=found.creator,
        create_client=found.create_client,
        created_at=found.created_at,
        finalized_at=found.finalized_at,
        signatures=await _signatures(registry, ref),
    )


async def _signatures(registry: "Registry", ref: str) -> tuple[str, ...]:
    """The bundles of a version's signatures, the first attached first."""
    names = [signature.name async for signature in registry.list_signatures(ref)]
    bundles = [await registry.get_signature_bundle(name) for name in names]
    return tuple(bundle.decode() for bundle in bundles)


def _draft(found: records.Version) -> specs.Draft:
    return specs.Draft(
        spec=found.spec or specs.ModelSpec(),
        datasets=found.datasets,
        metrics=found.metrics,
        source=found.source,
        labels=found.labels,
        description=found.description,
        card=found.card,
    )


async def _aliases(
    registry: "Registry", model: str, there: Collection[str]
) -> tuple[bundle_records.BundledAlias, ...]:
    return tuple(
        [
            bundle_records.BundledAlias(
                alias=alias.alias,
                version=_semver(alias.version),
                actor=alias.actor,
                reason=alias.reason,
                set_at=alias.set_at,
            )
            async for alias in registry.list_aliases(model)
            if _semver(alias.version) in there
        ]
    )


async def _alias_history(
    registry: "Registry", model: str, there: Collection[str]
) -> tuple[bundle_records.BundledMove, ...]:
    moves = [_move(found, found.alias, there) async for found in registry.alias_history(model)]
    return tuple(move for move in reversed(moves) if move)


async def _stage_history(
    registry: "Registry", model: str, there: Collection[str]
) -> tuple[bundle_records.BundledMove, ...]:
    moves = [_move(found, found.stage, there) async for found in registry.stage_history(model)]
    return tuple(move for move in reversed(moves) if move)


def _move(
    found: history_records.AliasAssignment | history_records.StageAssignment,
    subject: str,
    there: Collection[str],
) -> bundle_records.BundledMove | None:
    """What the bundle says of an assignment; nothing if its version is not in the bundle."""
    version = _semver(found.version)
    if version not in there:
        return None
    return bundle_records.BundledMove(
        subject=subject.rpartition("/")[2],
        version=version,
        actor=found.actor,
        reason=found.reason,
        begun_at=found.begun_at,
        ended_at=found.ended_at,
    )


def _semver(name: str) -> str:
    return name.rpartition("/")[2]
