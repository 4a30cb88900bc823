"""A model that moves to another namespace: what is in its way, and the change itself.

Bytes first, then rows: `model_copying` brings the blobs, and this changes nothing while one is
missing. What the caller could not do in the other namespace, a move does not do for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.authz import policy
from modelkeep.domain import errors, events, models, names, sight
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import lineage as lineage_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import protections as protection_rows
from modelkeep.storage import rehoming as rows

_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Hold:
    """What keeps a model where it is: how it is found, and what to do about it."""

    statement: str
    reason: str
    sentence: str
    in_destination: bool = False


_DRAFTS = _Hold(
    rows.FIND_DRAFTS,
    "MODEL_HAS_DRAFTS",
    "{name} has drafts, whose files are being sent to its namespace: {found}; finalize or delete "
    "them first",
)
_HOLDS = (
    _Hold(
        rows.FIND_TRANSITIONS,
        "MODEL_HAS_TRANSITIONS",
        "{name} has open transitions, which its namespace's gates and approvers decide: {found}; "
        "commit or cancel them first",
    ),
    _Hold(
        rows.FIND_RUNNING,
        "MODEL_DEPLOYED",
        "{name} runs in environments of its namespace: {found}; end these deployments first",
    ),
    _Hold(
        rows.FIND_BINDINGS,
        "MODEL_HAS_BINDINGS",
        "roles were given on {name}, and rights in one namespace are none in another: {found}; "
        "take them away first, and give what is wanted once it is moved",
    ),
    _Hold(
        rows.FIND_ENVIRONMENTS,
        "ENVIRONMENT_MISSING",
        "{name} ran in environments that {parent} does not have: {found}; create them there "
        "first, so that its deployments can be told",
        in_destination=True,
    ),
)


_SET_BY = (
    (rows.FIND_OWN_GATES, policy.Action.SET_GATE_POLICY),
    (rows.FIND_OWN_PROTECTIONS, policy.Action.PROTECT_ALIASES),
    (rows.FIND_OWN_PLAN, policy.Action.SET_EVALUATION_PLAN),
    (rows.FIND_RISK, policy.Action.SET_RISK),
)
"""What a model may have of its own, and what setting it takes."""


async def rehome(
    name: names.ModelName, new: names.ModelName, etag: str, change: changes.Change
) -> models.Model:
    """Move a model to another namespace within a change; see `Moving.move`.

    Raises:
        NotFound: no such model, or no such namespace.
        StaleEtag: the model is another than the caller has seen.
        AlreadyExists: another model has the new name, or had it.
        FailedPrecondition: something holds it (`require_movable`), or bytes are missing where it
            is to go (BLOBS_MISSING), or something would be made from itself (LINEAGE_CYCLE).
        PermissionDenied: it stands where the caller could not have it stand there.
    """
    connection = change.connection
    await lineage_rows.lock(connection)  # first, as who adds a link locks it before versions
    stored = await rows.lock(connection, name)
    changes.require_etag(name, etag, stored.model.etag)
    await _require_none(
        connection, _DRAFTS, stored, new, 0
    )  # or its finalizing would be waited for
    await rows.lock_versions(connection, stored.model_id)
    namespace_id = await namespace_rows.get_id(connection, new.namespace)
    await rows.hold_namespace(connection, namespace_id)
    await require_movable(change, stored, new, namespace_id)
    await _require_blobs(connection, stored, new, namespace_id)
    await rows.rehome(connection, stored, namespace_id, new)
    await _require_no_ring(connection, stored, new, namespace_id)
    before: dict[str, events.Json] = {"name": str(name)}
    after: dict[str, events.Json] = {"name": str(new)}
    for resource in (name, new):
        event = events.Event("model.moved", resource, before, after)
        change.record(resource.namespace, event)
    return (await model_rows.get(connection, new)).model


async def require_movable(
    change: changes.Change, stored: model_rows.Stored, new: names.ModelName, namespace_id: int
) -> None:
    """Raise unless nothing but bytes that are missing keeps the model where it is.

    Decided for good under the locks that `rehome` takes; without them, for what it is worth now.
    """
    name = stored.model.name
    if stored.model.deleted_at is not None:
        raise errors.FailedPrecondition(f"{name} is deleted; restore it first", reason="DELETED")
    if await rows.is_taken(change.connection, stored.model_id, namespace_id, new):
        raise errors.AlreadyExists(
            f"{new} is another model, perhaps deleted, or was and still answers to it", resource=new
        )
    for hold in (_DRAFTS, *_HOLDS):
        await _require_none(change.connection, hold, stored, new, namespace_id)
    await _require_standing(change, stored, new, namespace_id)


async def _require_none(
    connection: database.Connection,
    hold: _Hold,
    stored: model_rows.Stored,
    new: names.ModelName,
    namespace_id: int,
) -> None:
    there = (namespace_id,) if hold.in_destination else ()
    found = await rows.find_some(connection, hold.statement, stored.model_id, *there)
    if found:
        name, parent = stored.model.name, f"namespaces/{new.namespace}"
        sentence = hold.sentence.format(name=name, parent=parent, found=_listed(found))
        raise errors.FailedPrecondition(sentence, reason=hold.reason, resource=name)


async def _require_standing(
    change: changes.Change, stored: model_rows.Stored, new: names.ModelName, namespace_id: int
) -> None:
    """Raise `errors.PermissionDenied` unless the caller could have it stand so where it goes."""
    connection, caller, model_id = change.connection, change.caller, stored.model_id
    for statement, action in _SET_BY:
        if await rows.find_some(connection, statement, model_id):
            policy.require(caller, action, new)
    stages = await rows.find_some(connection, rows.FIND_STAGES, model_id)
    for stage in stages:
        policy.require(caller, policy.Action.SET_STAGE, new, stage=stage)
    if await rows.find_some(connection, rows.FIND_GATED, namespace_id, stages):
        policy.require(caller, policy.Action.BYPASS_GATES, new)
    for alias in await rows.find_some(connection, rows.FIND_ALIASES, model_id):
        place = (namespace_id, None)
        protected = await protection_rows.find_covering(connection, place, alias) is not None
        wanted = policy.Action.SET_PROTECTED_ALIAS if protected else policy.Action.SET_ALIAS
        policy.require(caller, wanted, new, alias=alias)
    if await rows.find_some(connection, rows.FIND_PICKLED, model_id, namespace_id):
        policy.require(caller, policy.Action.RELEASE_VERSION, new)


async def _require_blobs(
    connection: database.Connection,
    stored: model_rows.Stored,
    new: names.ModelName,
    namespace_id: int,
) -> None:
    missing = await rows.find_missing(connection, stored.model_id, namespace_id, lock=True)
    if missing.blobs:
        raise errors.FailedPrecondition(
            f"namespaces/{new.namespace} does not have {missing.blobs:,} of the blobs of "
            f"{stored.model.name} ({missing.size_bytes:,} bytes); copy them by CopyModelBlobs "
            "(modelkeep mv does so) and move it then",
            reason="BLOBS_MISSING",
            blobs=missing.blobs,
            bytes=missing.size_bytes,
        )


async def _require_no_ring(
    connection: database.Connection,
    stored: model_rows.Stored,
    new: names.ModelName,
    namespace_id: int,
) -> None:
    async with database.widened(connection, sight.Work.FIND_CYCLE):
        found = await rows.find_some(connection, rows.FIND_RING, stored.model_id, namespace_id)
    if found:
        raise errors.FailedPrecondition(
            f"{found[0]!r} in namespaces/{new.namespace} would be made from itself, by links that "
            f"{stored.model.name} has to what is called so here; remove one of them first",
            reason="LINEAGE_CYCLE",
        )


def _listed(found: Sequence[str]) -> str:
    more = " and others" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
