"""Use cases of verdicts about transitions: approve, reject, and give up."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import events, names, transitions
from modelkeep.service import changes, transition_states
from modelkeep.service import transitions as reading
from modelkeep.storage import database
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import transitions as rows


class TransitionVerdicts:
    """Takes verdicts about transitions; every one holds the model."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def judge(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.TransitionName,
        *,
        approved: bool,
        comment: str,
    ) -> transitions.Transition:
        """Approve or reject what somebody else asked for; the last verdict of each counts.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (the caller asked for it; it has
        ended), `errors.ResourceExhausted` (verdicts).
        """
        asked = await find(self._db, caller, name)
        policy.require(
            caller, policy.Action.APPROVE_TRANSITION, name.version, stage=asked.transition.target
        )
        body = functools.partial(_judge, name, approved, comment)
        return await self._changes.apply(caller, once, transitions.Transition, body)

    async def cancel(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.TransitionName,
        reason: str,
    ) -> transitions.Transition:
        """Give up a transition: one's own, or any with the permission for it.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (it has ended).
        """
        asked = (await find(self._db, caller, name)).transition
        own = asked.requester == caller.principal
        action = policy.Action.REQUEST_TRANSITION if own else policy.Action.CANCEL_TRANSITION
        policy.require(caller, action, name.version, stage=asked.target)
        body = functools.partial(_cancel, name, reason)
        return await self._changes.apply(caller, once, transitions.Transition, body)


async def find(
    db: database.Database, caller: callers.Caller, name: names.TransitionName
) -> rows.Stored:
    """A transition that the caller may read, to know the stage it is about."""
    policy.require(caller, policy.Action.READ_TRANSITION, name.version)
    async with db.connection() as connection:
        return await rows.get(connection, name)


async def lock_open(
    change: changes.Change, name: names.TransitionName, *, hold: bool = False
) -> tuple[rows.Stored, transitions.Transition]:
    """An open transition with its model locked; raises if it has ended."""
    await model_rows.lock(change.connection, name.version.parent)
    stored = await rows.lock(change.connection, name)
    now = await transition_states.current(change.connection, stored, hold=hold)
    transitions.require_open(now)
    return stored, now


async def _judge(
    name: names.TransitionName, approved: bool, comment: str, change: changes.Change
) -> transitions.Transition:
    stored, asked = await lock_open(change, name)
    transitions.require_other(asked, change.caller.principal)
    transitions.require_room(asked)
    verdict = await _verdict(change, asked, approved=approved, comment=comment)
    await rows.insert_verdict(change.connection, stored, verdict)
    after: events.Fields = {
        "stage": asked.target,
        "approver": verdict.approver,
        "roles": list(verdict.roles),
        "reason": comment,
    }
    action = "transition.approved" if approved else "transition.rejected"
    change.record(name.namespace, events.Event(action, name, None, after))
    return await reading.read(change.connection, await rows.get(change.connection, name))


async def _verdict(
    change: changes.Change, asked: transitions.Transition, *, approved: bool, comment: str
) -> transitions.Verdict:
    caller = change.caller
    roles = policy.roles_for(
        caller.grants, policy.Action.APPROVE_TRANSITION, asked.name.version, stage=asked.target
    )
    return transitions.Verdict(
        approver=caller.principal,
        approved=approved,
        comment=comment,
        created_at=await gate_rows.now(change.connection),
        roles=tuple(sorted(roles)),
        groups=tuple(sorted(caller.groups)),
    )


async def _cancel(
    name: names.TransitionName, reason: str, change: changes.Change
) -> transitions.Transition:
    stored, asked = await lock_open(change, name)
    now = await gate_rows.now(change.connection)
    who = change.caller.principal
    ending = transitions.Ending(transitions.State.CANCELLED, now, who, reason)
    await rows.end(change.connection, stored, ending)
    after = {"state": "cancelled", "stage": asked.target, "reason": reason}
    change.record(name.namespace, events.Event("transition.cancelled", name, None, after))
    return await reading.read(change.connection, await rows.get(change.connection, name))
