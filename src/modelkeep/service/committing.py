"""Use case of committing transitions: the gates are judged in the transaction that moves."""

import dataclasses
import functools
from dataclasses import dataclass

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import events, gates, names, stages, transitions, versions
from modelkeep.service import changes, gating, staging, transition_states, transition_verdicts
from modelkeep.storage import codec, database
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import transitions as rows
from modelkeep.storage import versions as version_rows


@dataclass(frozen=True, slots=True)
class Committed:
    """A transition that was committed, with its gates, and the move that it was."""

    transition: transitions.Transition
    version: versions.Version
    displaced: str


class Committing:
    """Commits transitions; a commit holds the model and the policies."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def commit(
        self, caller: callers.Caller, once: changes.Once, name: names.TransitionName
    ) -> Committed:
        """Make the move that was asked for, if all gates are met now.

        Raises `errors.NotFound`, `errors.GatesFailed`, `errors.FailedPrecondition` (it has ended, a
        rejection stands, production is taken).
        """
        asked = (await transition_verdicts.find(self._db, caller, name)).transition
        action = policy.Action.COMMIT_TRANSITION
        policy.require(caller, action, name.version, stage=asked.target)
        body = functools.partial(_commit, name)
        return await self._changes.apply(caller, once, Committed, body)


async def _commit(name: names.TransitionName, change: changes.Change) -> Committed:
    connection = change.connection
    stored, asked = await transition_verdicts.lock_open(change, name, hold=True)
    transitions.require_unopposed(asked)
    version = await version_rows.lock(connection, name.version)
    versions.require_state(version.version, versions.VersionState.READY, "moved")
    stages.require_move(name.version, asked.origin, asked.target)
    found = await transition_states.find_effective(connection, stored, hold=True)
    tried = gating.Move(version, asked.target, found, asked, is_tried=True)
    report = await gating.judge_move(connection, tried)
    gating.require_passed(name.version, report)
    wanted = stages.StageMove(asked.target, asked.reason)
    made = await staging.move(change, version, wanted, found.displaced, report)
    now = await gate_rows.now(connection)
    who = change.caller.principal
    ending = transitions.Ending(transitions.State.COMMITTED, now, who)
    await rows.end(connection, stored, ending, made.assignment_id)
    change.record(name.namespace, _event(asked, report))
    committed = (await rows.get(connection, name)).transition
    return Committed(
        dataclasses.replace(committed, report=report), made.move.version, made.move.displaced
    )


def _event(asked: transitions.Transition, report: gates.Report) -> events.Event:
    """What the log says: who asked and approved, and on what evidence."""
    after: events.Fields = {
        "stage": asked.target,
        "origin": asked.origin,
        "reason": asked.reason,
        "requester": asked.requester,
        "approvers": [one.approver for one in transitions.approvers(asked.verdicts)],
        "gates": told(report),
    }
    return events.Event("transition.committed", asked.name, None, after)


def told(report: gates.Report) -> list[events.Json]:
    """What became of the gates, as an event says it."""
    return [
        {
            "gate": codec.plain(one.gate),
            "passed": one.passed,
            "sentence": one.sentence,
            "evidence": one.evidence,
            "policy": one.policy,
        }
        for one in report.verdicts
    ]
