"""Use case: going back to the last known good version in an environment."""

import dataclasses
import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import (
    deployments,
    errors,
    events,
    gate_policies,
    gates,
    names,
    rollbacks,
    stages,
    versions,
)
from modelkeep.service import changes, committing, gating, staging
from modelkeep.service import deployments as recording
from modelkeep.storage import database
from modelkeep.storage import deployments as rows
from modelkeep.storage import environments as environment_rows
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows

_REMEDY = " (whoever has gates.bypass can go back all the same, with --bypass-gates)"


class Rollback:
    """Takes back what runs, deploys what was good, brings stages in line: all or nothing."""

    def __init__(self, db: database.Database) -> None:
        self._changes = changes.Changes(db)

    async def roll_back(
        self, caller: callers.Caller, once: changes.Once, order: rollbacks.Order
    ) -> rollbacks.Outcome:
        """Go back; see `RollBackDeployment` in the contract for the rules.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (nothing good remains, gates fail, it
        is not clear what is meant), `errors.PermissionDenied` (bypassing gates).
        """
        policy.require(caller, policy.Action.ROLL_BACK, order.model)
        if order.bypass_gates:
            policy.require(caller, policy.Action.BYPASS_GATES, order.model)
        body = functools.partial(_roll_back, order)
        return await self._changes.apply(caller, once, rollbacks.Outcome, body)


async def find_target(
    connection: database.Connection, place: rows.Place, bad: rows.Stored, wanted: str
) -> rows.Stored:
    """The last deployment there of the version to go back to.

    Args:
        connection: of the transaction.
        place: where.
        bad: what is taken back.
        wanted: which version; '' for the last known good.

    Raises:
        errors.FailedPrecondition: there is none such.
    """
    environment = place.environment.environment.name
    if not wanted:
        good = await rows.find_good(connection, place, bad.version_id)
        if good is None:
            raise rollbacks.nothing_good(environment, bad.deployment)
        return good
    if wanted == bad.deployment.version.version:
        raise errors.FailedPrecondition(
            f"{bad.deployment.version} is what is to be taken back", reason="ROLLBACK_TO_ITSELF"
        )
    found = await rows.find_last(connection, place, wanted)
    if found is None:
        model = bad.deployment.version.parent
        name = names.VersionName(model.namespace, model.model, wanted)
        await version_rows.get(connection, name)  # if there is no such version, says so
        raise errors.FailedPrecondition(
            f"{name} never ran in {environment}; promote and deploy it instead",
            reason="NEVER_DEPLOYED",
        )
    return found


async def _roll_back(order: rollbacks.Order, change: changes.Change) -> rollbacks.Outcome:
    connection = change.connection
    environment = await environment_rows.hold(connection, order.environment)
    model = await model_rows.lock(connection, order.model)
    place = rows.Place(model.model_id, environment)
    bad = await _bad(order, place, change)
    last = await find_target(connection, place, bad, order.target)
    good = await version_rows.lock_by_id(connection, last.version_id)
    versions.require_state(good.version, versions.VersionState.READY, "deployed again")
    stage = rollbacks.stage_to_return_to(good.version, last.deployment, environment.environment)
    report = await _judge(order, good, stage, change)
    moves = await _move_up(order, good, stage, report, change)
    good = await version_rows.lock_by_id(connection, last.version_id)
    begun, ended = await _swap(order, place, (bad, good), change)
    moves += await _retire(order, bad, change)
    bypassed = tuple(one.sentence for one in report.failed) if report else ()
    _tell(order, (begun, ended), bypassed, change)
    return rollbacks.Outcome(begun, ended, tuple(moves), bypassed)


async def _bad(order: rollbacks.Order, place: rows.Place, change: changes.Change) -> rows.Stored:
    """What is to be taken back: what runs there, or what ran last if nothing does."""
    if order.deployment is not None:
        named = await rows.get(change.connection, order.deployment)
        if named.environment_id != place.environment.environment_id:
            raise errors.invalid(f"ran in {named.deployment.environment}", "deployment")
        deployments.require_running(named.deployment)
        return named
    running = await rows.list_running(change.connection, place)
    rollbacks.require_one([one.deployment for one in running], order.environment)
    last = running[0] if running else await rows.find_last(change.connection, place)
    if last is None:
        raise errors.FailedPrecondition(
            f"no version of {order.model} ever ran in {order.environment}",
            reason="NOTHING_DEPLOYED",
        )
    return last


async def _judge(
    order: rollbacks.Order, good: version_rows.Stored, stage: str, change: changes.Change
) -> gates.Report | None:
    """What becomes of the gates before the stage; None where the version need not move.

    Approvals are not asked for again: the version stood in that stage before.
    """
    if stage == good.version.stage:
        return None
    place = gating.place_of(good)
    found = await gate_rows.find_effective(change.connection, place, stage, hold=True)
    judged = await gating.judge_move(change.connection, gating.Move(good, stage, found))
    known = tuple(one for one in judged.verdicts if not one.is_pending)
    report = dataclasses.replace(judged, verdicts=known)
    if report.failed and order.bypass_gates:
        name = good.version.name
        change.record(name.namespace, _bypassed(order, name, report))
    else:
        gating.require_passed(good.version.name, report, _REMEDY)
    return report


def _bypassed(
    order: rollbacks.Order, name: names.VersionName, report: gates.Report
) -> events.Event:
    """What nobody should overlook in the log."""
    after: events.Fields = {
        "stage": report.stage,
        "environment": str(order.environment),
        "reason": order.reason,
        "failed": [f"{one.gate.kind}: {one.sentence}" for one in report.failed],
        "gates": committing.told(report),
    }
    return events.Event("gates.bypassed", name, None, after)


async def _move_up(
    order: rollbacks.Order,
    good: version_rows.Stored,
    stage: str,
    report: gates.Report | None,
    change: changes.Change,
) -> list[rollbacks.StageChange]:
    """Bring the good version where it runs from; whatever stands in production makes room."""
    name, origin = good.version.name, good.version.stage
    if stage == origin:
        return []
    wanted = rollbacks.move_of(stage, order.environment, order.reason)
    made = await staging.move(change, good, wanted, gate_policies.Displaced.ARCHIVE, report)
    moved = [rollbacks.StageChange(name, origin, stage)]
    if not made.move.displaced:
        return moved
    displaced = names.VersionName.parse(made.move.displaced)
    return [rollbacks.StageChange(displaced, stages.PRODUCTION, stages.ARCHIVED), *moved]


async def _swap(
    order: rollbacks.Order,
    place: rows.Place,
    pair: tuple[rows.Stored, version_rows.Stored],
    change: changes.Change,
) -> tuple[deployments.Deployment, deployments.Deployment]:
    """End the bad deployment and begin one of the good version, unless that runs there already."""
    bad, good = pair
    is_running = bad.deployment.outcome is None
    now = await rows.now(change.connection)
    at = await recording.first_free(place, now, [bad] if is_running else [], change)
    ended = bad.deployment
    if is_running:
        ending = deployments.Ending(
            deployments.Outcome.ROLLED_BACK, order.reason, deployments.end_after(at, ended)
        )
        ended = await recording.close(bad, ending, change)
    for one in await rows.list_running(change.connection, place):
        if one.version_id == good.version_id:
            return one.deployment, ended
    draft = deployments.Draft(
        version=good.version.name,
        environment=order.environment,
        target=ended.target,
        labels=ended.labels,
        reason=order.reason,
        started_at=at,
    )
    return (await recording.begin(good, place, draft, change, bad)).deployment, ended


async def _retire(
    order: rollbacks.Order, bad: rows.Stored, change: changes.Change
) -> list[rollbacks.StageChange]:
    """Archive the version that was taken back, unless it still runs somewhere."""
    stored = await version_rows.lock_by_id(change.connection, bad.version_id)
    version = stored.version
    gone = version.state in versions.GONE or version.stage == stages.ARCHIVED
    if gone or await rows.find_active(change.connection, bad.version_id):
        return []
    wanted = rollbacks.move_of(stages.ARCHIVED, order.environment, order.reason)
    await staging.move(change, stored, wanted, gate_policies.Displaced.ARCHIVE, None)
    return [rollbacks.StageChange(version.name, version.stage, stages.ARCHIVED)]


def _tell(
    order: rollbacks.Order,
    pair: tuple[deployments.Deployment, deployments.Deployment],
    bypassed: tuple[str, ...],
    change: changes.Change,
) -> None:
    begun, ended = pair
    after: events.Fields = {
        "version": str(begun.version),
        "deployment": str(begun.name),
        "environment": str(order.environment),
        "bypassed_gates": list(bypassed),
        "reason": order.reason,
    }
    event = events.Event(
        "deployment.rolled_back", ended.name, {"version": str(ended.version)}, after
    )
    change.record(order.model.namespace, event)
