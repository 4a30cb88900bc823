"""How far transitions are now: by their verdicts, by policies, and by what they depend on."""

import dataclasses
import datetime
from collections.abc import Iterable

from modelkeep.authz import caller as callers
from modelkeep.domain import gate_policies, gate_rules, gates, transitions
from modelkeep.service import approving, gating
from modelkeep.storage import database
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import transitions as rows

Effective = gate_policies.Effective


async def current(
    connection: database.Connection, stored: rows.Stored, *, hold: bool = False
) -> transitions.Transition:
    """A transition with the state that it has at this moment.

    Args:
        connection: where.
        stored: the transition.
        hold: keep policies as they are to the end of the transaction, which has locked the model.
    """
    found = await find_effective(connection, stored, hold=hold)
    return await _current(connection, stored, found, await gate_rows.now(connection))


async def list_current(
    connection: database.Connection, stored: Iterable[rows.Stored]
) -> list[transitions.Transition]:
    """The same of many, all at one moment."""
    now = await gate_rows.now(connection)
    known: dict[tuple[int, str, str], Effective] = {}
    made = []
    for one in stored:
        key = (one.model_id, one.transition.origin, one.transition.target)
        if key not in known:
            known[key] = await find_effective(connection, one)
        made.append(await _current(connection, one, known[key], now))
    return made


async def find_effective(
    connection: database.Connection, stored: rows.Stored, *, hold: bool = False
) -> Effective:
    """What holds for a transition, the approval that it needs in any case included."""
    asked = stored.transition
    place = gate_rows.Place(stored.namespace_id, stored.model_id)
    found = await gating.find_effective(connection, place, asked.origin, asked.target, hold=hold)
    return gate_policies.for_transition(found)


async def _current(
    connection: database.Connection,
    stored: rows.Stored,
    found: Effective,
    now: datetime.datetime,
) -> transitions.Transition:
    asked = stored.transition
    if asked.state in transitions.ENDED:
        return asked
    over = transitions.over(asked, stored.around(now))
    if over is not None:
        return ended(asked, *over, now)
    approvers = await approving.approvers_of(connection, asked)
    wanted = [gate for gate, _ in found.gates if isinstance(gate, gates.Approvals)]
    enough = all(len(gate_rules.counted(gate, approvers)) >= gate.count for gate in wanted)
    return dataclasses.replace(asked, state=transitions.decided(asked.verdicts, enough=enough))


def ended(
    asked: transitions.Transition, state: transitions.State, reason: str, now: datetime.datetime
) -> transitions.Transition:
    """A transition that is over by itself."""
    at = asked.expires_at if state is transitions.State.EXPIRED else now
    ending = transitions.Ending(state, at, callers.SYSTEM, reason)
    return dataclasses.replace(asked, state=state, ended=ending)
