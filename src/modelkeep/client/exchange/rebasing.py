"""What a bundle says of versions, in the names of the registry that it is brought into."""

import dataclasses
from typing import TYPE_CHECKING

from modelkeep.client import errors, lineage, records, refs, specs
from modelkeep.client.exchange import bundle_links, bundle_records, facts, incoming

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry


class Rebasing:
    """Renames the versions that a bundle names.

    Args:
        registry: where to.
        bundle: what is imported.
        target: the model it becomes: `acme/voice`.
        is_dry_run: whether what would be imported counts as being there.
    """

    def __init__(
        self,
        registry: "Registry",
        bundle: bundle_records.Bundle,
        target: str,
        *,
        is_dry_run: bool,
    ) -> None:
        self._registry = registry
        self._bundle = bundle
        self._target = target
        self._is_dry_run = is_dry_run

    async def spec(
        self, version: bundle_records.BundledVersion, notes: list[str]
    ) -> specs.ModelSpec | specs.PromptSpec:
        """The spec with its base as this registry knows it; as a URI if it does not."""
        spec = version.draft.spec
        if isinstance(spec, specs.PromptSpec) or spec.base is None or not spec.base.version:
            return spec
        base = refs.parse_version(spec.base.version)
        is_before = self._is_before(base, version)
        if is_before:
            base = self._renamed(base)
        # What is imported before is there by now, unless it was refused; a dry run trusts it.
        if (is_before and self._is_dry_run) or await self._is_ready(base):
            found = dataclasses.replace(spec.base, version=base.version_name)
        else:
            notes.append(
                f"{self._bundle.name}@{version.version}: its base {base} is not ready here and is"
                " kept as a URI; import the base first to have it linked."
            )
            found = dataclasses.replace(spec.base, version="", uri=_uri(base))
        return dataclasses.replace(spec, base=found)

    def _is_before(self, base: refs.Ref, version: bundle_records.BundledVersion) -> bool:
        """Whether the base is imported by the same run, before the version made from it."""
        versions = self._bundle.versions
        earlier = {one.version for one in versions if one.ordinal < version.ordinal}
        return self._is_own(base) and base.selector in earlier

    def _is_own(self, ref: refs.Ref) -> bool:
        return f"{ref.namespace}/{ref.model}" == self._bundle.name

    def _renamed(self, ref: refs.Ref) -> refs.Ref:
        return dataclasses.replace(refs.parse_model(self._target), selector=ref.selector)

    async def _is_ready(self, ref: refs.Ref) -> bool:
        try:
            found = await self._registry.get_version(str(ref))
        except errors.NotFound:
            return False
        return found.state is records.VersionState.READY

    async def links(self, origin: str, notes: list[str]) -> tuple[incoming.IncomingLink, ...]:
        """The links with versions as this registry knows them; as URIs where it does not."""
        return tuple([await self._link(link, origin, notes) for link in self._bundle.links])

    async def _link(
        self, link: lineage.LineageLink, origin: str, notes: list[str]
    ) -> incoming.IncomingLink:
        there = {f"{self._bundle.name}@{one.version}" for one in self._bundle.versions}
        own = [refs.parse_version(one) for one in bundle_links.versions_of(link) if one in there]
        return incoming.IncomingLink(
            link=dataclasses.replace(
                link,
                source=await self._node(link.source, own, notes),
                target=await self._node(link.target, own, notes),
            ),
            versions=tuple(ref.selector for ref in own),
            reason=facts.reason(origin, actor=link.actor, at=link.created_at, why=link.reason),
        )

    async def _node(
        self, node: lineage.LineageNode, own: list[refs.Ref], notes: list[str]
    ) -> lineage.LineageNode:
        if node.kind is not lineage.LineageKind.VERSION:
            return node
        ref = refs.parse_version(node.name)
        if ref in own:
            return dataclasses.replace(node, name=str(self._renamed(ref)))
        if await self._is_ready(ref):
            return node
        notes.append(
            f"{ref} is not ready here; that it is linked with {own[0]} is kept with a URI."
        )
        return lineage.LineageNode(lineage.LineageKind.OTHER, _uri(ref))


def _uri(ref: refs.Ref) -> str:
    return f"modelkeep:{ref}"
