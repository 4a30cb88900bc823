"""Use cases of stages, and of versions that were set aside."""

import functools
from dataclasses import dataclass

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import events, limits, names, stages, versions
from modelkeep.service import changes, quarantine
from modelkeep.storage import database
from modelkeep.storage import models as model_rows
from modelkeep.storage import stages as rows
from modelkeep.storage import versions as version_rows


@dataclass(frozen=True, slots=True)
class Move:
    """A version where it stands now, and the name of the one that made room, or ''."""

    version: versions.Version
    displaced: str


class Lifecycle:
    """Moves versions between stages; a move holds the model, so moves of it queue."""

    def __init__(self, db: database.Database) -> None:
        self._changes = changes.Changes(db)

    async def set_stage(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.VersionName,
        move: stages.StageMove,
        etag: str,
    ) -> Move:
        """Move a ready version straight to a stage.

        `production` holds one version of a model: the one that stood there is archived. Raises
        `errors.NotFound`, `errors.StaleEtag`, `errors.FailedPrecondition` (not ready, no such
        move).
        """
        policy.require(caller, policy.Action.SET_STAGE, name, stage=move.stage)
        body = functools.partial(_set_stage, name, move, etag)
        return await self._changes.apply(caller, once, Move, body)

    async def release(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.VersionName,
        reason: str,
        etag: str,
    ) -> versions.Version:
        """Make a quarantined version ready again.

        Raises `errors.NotFound`, `errors.StaleEtag`, `errors.FailedPrecondition` (not quarantined).
        """
        policy.require(caller, policy.Action.RELEASE_VERSION, name)
        body = functools.partial(_release, name, reason, etag)
        return await self._changes.apply(caller, once, versions.Version, body)


async def _release(
    name: names.VersionName, reason: str, etag: str, change: changes.Change
) -> versions.Version:
    stored = await version_rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.version.etag)
    return await quarantine.release(change, stored, reason)


async def _set_stage(
    name: names.VersionName, move: stages.StageMove, etag: str, change: changes.Change
) -> Move:
    await model_rows.lock(change.connection, name.parent)
    stored = await version_rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.version.etag)
    versions.require_state(stored.version, versions.VersionState.READY, "moved")
    if stored.version.stage == move.stage:
        return Move(stored.version, "")
    stages.require_move(name, stored.version.stage, move.stage)
    displaced = ""
    if move.stage == stages.PRODUCTION:
        displaced = await _make_room(stored, move.reason, change)
    await _move(stored, move, change)
    moved = (await version_rows.get(change.connection, name)).version
    return Move(moved, displaced)


async def _make_room(stored: version_rows.Stored, reason: str, change: changes.Change) -> str:
    holder_id = await rows.find_holder(change.connection, stored.model_id, stages.PRODUCTION)
    if holder_id is None:
        return ""
    holder = await version_rows.lock_by_id(change.connection, holder_id)
    why = f"replaced by {stored.version.name.version}: {reason}"
    await _move(holder, stages.StageMove(stages.ARCHIVED, why[: limits.REASON_CHARS]), change)
    return str(holder.version.name)


async def _move(
    stored: version_rows.Stored, move: stages.StageMove, change: changes.Change
) -> None:
    name = stored.version.name
    await rows.move(change.connection, stored, move, change.caller.principal)
    before = {"stage": stored.version.stage}
    after = {"stage": move.stage, "reason": move.reason}
    change.record(name.namespace, events.Event("stage.set", name, before, after))
