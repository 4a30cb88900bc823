"""The version of a push: reserve it as a draft, or find it there already; and seal it."""

import dataclasses
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from modelkeep.client import errors, manifest, progress, records, specs

if TYPE_CHECKING:
    from modelkeep.client.push import Order
    from modelkeep.client.registry import Registry


_SEALED = (records.VersionState.READY, records.VersionState.QUARANTINED)


async def reserve(
    registry: "Registry", order: "Order", files: Sequence[records.File]
) -> records.Version:
    """The draft to fill, or the sealed version if it has the same content already.

    Raises:
        Refused: the version is there with other content, or the model is of another kind.
    """
    await _ensure_model(registry, order)
    if order.bump is not None:
        return await _next(registry, order, order.bump, files)
    try:
        return await registry.create_version(str(order.ref), order.draft)
    except errors.Refused as taken:
        if taken.code != "ALREADY_EXISTS":
            raise
        return await _take_over(registry, order, files)


async def seal(
    registry: "Registry", order: "Order", draft: records.Version, files: Sequence[records.File]
) -> tuple[records.Version, bool]:
    """Seal the draft, or find that somebody sealed it with the same content meanwhile.

    Answers the sealed version and whether it was this push that sealed it.

    Raises:
        Refused: another push is at work on it, or sealed it with other content.
    """
    try:
        return await registry.finalize_version(str(order.ref), files, etag=draft.etag), True
    except errors.Refused as refused:
        # The draft's etag stands for this push's description. If another push replaced it,
        # sealing now would join our files with a description that is not ours.
        found = await registry.get_version(str(order.ref))
        if found.state is not records.VersionState.DRAFT:
            order.listener.noted(f"Another push sealed {order.ref} while this one ran.")
            return _same_or_refused(found, order, files), False
        if refused.reason != "STALE_ETAG":
            raise
        raise errors.Conflict(
            f"Another push of {order.ref} is at work and has replaced this one's description;"
            " run the same command again once it has ended.",
            reason="CONCURRENT_PUSH",
        ) from refused


async def _next(
    registry: "Registry", order: "Order", bump: records.Bump, files: Sequence[records.File]
) -> records.Version:
    """The next version; or the draft that a push of the same files began, or the same release."""
    reuse = records.Reuse.DRAFT if order.allow_same else records.Reuse.DRAFT_OR_LATEST
    model = f"{order.ref.namespace}/{order.ref.model}"
    is_prompt = isinstance(order.draft.spec, specs.PromptSpec)
    return await registry.create_next_version(
        model,
        bump,
        order.draft,
        manifest_digest="" if is_prompt else manifest.digest(files),
        reuse=reuse,
    )


async def _ensure_model(registry: "Registry", order: "Order") -> None:
    model = f"{order.ref.namespace}/{order.ref.model}"
    try:
        found = await registry.get_model(model)
    except errors.NotFound:
        found = await _create_model(registry, order, model)
    if found.deleted_at is not None:
        raise errors.Refused(
            f"The model {model} is deleted; bring it back with `modelkeep restore {model}`.",
            reason="MODEL_DELETED",
        )
    _check_kind(found, order)


async def _create_model(registry: "Registry", order: "Order", model: str) -> records.Model:
    await ensure_namespace(registry, order.ref.namespace)
    try:
        return await registry.create_model(model, kind=_kind_wanted(order))
    except errors.Refused as taken:
        if taken.code != "ALREADY_EXISTS":
            raise
        return await registry.get_model(model)


async def ensure_namespace(registry: "Registry", namespace: str) -> None:
    """Create the namespace unless it is there: many may make models, few may make namespaces."""
    try:
        await registry.get_namespace(namespace)
    except errors.NotFound:
        await unless_taken(registry.create_namespace(namespace))


async def unless_taken(creation: Coroutine[Any, Any, object]) -> None:
    """Create something that may be there already."""
    try:
        await creation
    except errors.Refused as taken:
        if taken.code != "ALREADY_EXISTS":
            raise


def _kind_wanted(order: "Order") -> records.ModelKind:
    if isinstance(order.draft.spec, specs.PromptSpec):
        return records.ModelKind.PROMPT
    return order.kind or records.ModelKind.MODEL


def _check_kind(found: records.Model, order: "Order") -> None:
    wanted = _kind_wanted(order)
    is_prompt = found.kind is records.ModelKind.PROMPT
    unstated = order.kind is None and not is_prompt and wanted is not records.ModelKind.PROMPT
    if found.kind is not wanted and not unstated:
        raise errors.Refused(
            f"{found.ref} is of the kind {found.kind}, which cannot change; this push is of the"
            f" kind {wanted}. Push it to another model.",
            reason="KIND_MISMATCH",
            metadata={"kind": found.kind, "wanted": wanted},
        )


async def _take_over(
    registry: "Registry", order: "Order", files: Sequence[records.File]
) -> records.Version:
    found = await registry.get_version(str(order.ref))
    if found.state is records.VersionState.DRAFT:
        return await registry.update_draft(str(order.ref), order.draft, etag=found.etag)
    return _same_or_refused(found, order, files)


def _same_or_refused(
    found: records.Version, order: "Order", files: Sequence[records.File]
) -> records.Version:
    if found.state not in _SEALED:
        raise errors.Refused(
            f"{order.ref} is {found.state}; push another version"
            + (f", or run `modelkeep restore {order.ref}`." if _is_deleted(found) else "."),
            reason=f"VERSION_{found.state.upper()}",
        )
    if not _has_content(found, order, files):
        raise errors.Refused(
            f"{order.ref} exists with other content, and a sealed version never changes; push"
            " another version.",
            reason="VERSION_EXISTS",
            metadata={"manifest_digest": found.manifest_digest},
        )
    if not _says_the_same(found, order.draft):
        order.listener.noted(f"{order.ref} was sealed with another description; it stays as it is.")
    return found


def require_repaired(
    found: records.Version, *, was_sent: bool, listener: progress.Progress
) -> None:
    """Tell that files of a version that was set aside were repaired, or refuse it if none were.

    Raises:
        Refused: it was set aside, and the registry needs none of its files.
    """
    if not was_sent:
        raise errors.Refused(
            f"{found.ref} has this content and was set aside; `modelkeep show {found.ref}` says"
            " why.",
            reason="VERSION_QUARANTINED",
        )
    listener.noted(
        f"{found.ref} was set aside because the store had lost or damaged files; they are whole"
        f" again. Run `modelkeep verify {found.ref}`, then have it released."
    )


def _is_deleted(found: records.Version) -> bool:
    return found.state is records.VersionState.DELETED


def _has_content(found: records.Version, order: "Order", files: Sequence[records.File]) -> bool:
    if isinstance(order.draft.spec, specs.PromptSpec):
        return comparable(found.spec) == comparable(order.draft.spec)
    return found.manifest_digest == manifest.digest(files)


def _says_the_same(found: records.Version, draft: specs.Draft) -> bool:
    return (
        comparable(found.spec) == comparable(draft.spec)
        and set(found.datasets) == set(draft.datasets)
        and dict(found.metrics) == dict(draft.metrics)
        and found.source == draft.source
    )


def comparable(spec: specs.ModelSpec | specs.PromptSpec | None) -> object:
    """The spec with its variables in one order: the server may keep them in another."""
    if isinstance(spec, specs.PromptSpec):
        return dataclasses.replace(spec, variables=tuple(sorted(spec.variables)))
    return spec
