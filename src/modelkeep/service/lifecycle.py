"""Use cases of stages, and of versions that were set aside."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import events, gates, names, stages, versions
from modelkeep.service import changes, committing, gating, quarantine, staging
from modelkeep.storage import database
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows

Move = staging.Move


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
        *,
        bypass_gates: bool = False,
    ) -> Move:
        """Move a ready version straight to a stage, if it meets the gates there or bypasses them.

        `production` holds one version of a model: the one that stood there makes room. Raises
        `errors.NotFound`, `errors.StaleEtag`, `errors.GatesFailed`, `errors.FailedPrecondition`
        (not ready, no such move, production is taken).
        """
        policy.require(caller, policy.Action.SET_STAGE, name, stage=move.stage)
        if bypass_gates:
            policy.require(caller, policy.Action.BYPASS_GATES, name, stage=move.stage)
        body = functools.partial(_set_stage, name, move, etag, bypass_gates)
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
    name: names.VersionName,
    move: stages.StageMove,
    etag: str,
    bypass: bool,
    change: changes.Change,
) -> Move:
    await model_rows.lock(change.connection, name.parent)
    stored = await version_rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.version.etag)
    versions.require_state(stored.version, versions.VersionState.READY, "moved")
    if stored.version.stage == move.stage:
        return Move(stored.version, "")
    stages.require_move(name, stored.version.stage, move.stage)
    found = await gating.find_effective(
        change.connection, gating.place_of(stored), stored.version.stage, move.stage, hold=True
    )
    report = None
    if found.gates or bypass:
        tried = gating.Move(stored, move.stage, found, is_tried=True)
        report = await gating.judge_move(change.connection, tried)
    if report and bypass:
        change.record(name.namespace, _bypassed(name, move, report))
    elif report:
        gating.require_passed(name, report)
    return (await staging.move(change, stored, move, found.displaced, report)).move


def _bypassed(
    name: names.VersionName, move: stages.StageMove, report: gates.Report
) -> events.Event:
    """What nobody should overlook in the log."""
    after: events.Fields = {
        "stage": move.stage,
        "reason": move.reason,
        "failed": [f"{one.gate.kind}: {one.sentence}" for one in report.failed],
        "gates": committing.told(report),
    }
    return events.Event("gates.bypassed", name, None, after)
