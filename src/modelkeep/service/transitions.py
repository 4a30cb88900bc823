"""Use cases of transitions: ask for a move, and see how far it is."""

import dataclasses
import functools
import secrets
from collections.abc import Collection

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, names, pages, stages, transitions, versions
from modelkeep.service import changes, gating, transition_states
from modelkeep.storage import codec, database
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import stages as stage_rows
from modelkeep.storage import transitions as rows
from modelkeep.storage import versions as version_rows

Parent = names.NamespaceName | names.ModelName | names.VersionName
_KEY_BYTES = 8


class Transitions:
    """Asks for moves and reads them; every change holds the model."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def request(
        self,
        caller: callers.Caller,
        once: changes.Once,
        version: names.VersionName,
        move: stages.StageMove,
    ) -> transitions.Transition:
        """Ask for a ready version to be moved.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (not ready, no such move, one that is
        open for the same move).
        """
        policy.require(caller, policy.Action.REQUEST_TRANSITION, version, stage=move.stage)
        body = functools.partial(_request, version, move)
        return await self._changes.apply(caller, once, transitions.Transition, body)

    async def get(
        self, caller: callers.Caller, name: names.TransitionName
    ) -> transitions.Transition:
        """Read a transition with what becomes of its gates, or became; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_TRANSITION, name.version)
        async with self._db.connection() as connection:
            return await read(connection, await rows.get(connection, name))

    async def list(
        self,
        caller: callers.Caller,
        parent: Parent,
        wanted: transitions.Filter,
        page: pages.PageRequest,
    ) -> pages.Page[transitions.Transition]:
        """A page of transitions without their gates, the last first; raises `errors.NotFound`."""
        only = policy.require_some(caller, policy.Action.READ_TRANSITION, parent)
        async with self._db.connection() as connection:
            within = await _within(connection, parent, only)
            found = await rows.list_page(connection, within, wanted, page)
            stored = [one for _, one in found.entries]
            made = await transition_states.list_current(connection, stored)
        keys = [key for key, _ in found.entries]
        fitting = [
            (key, one)
            for key, one in zip(keys, made, strict=True)
            if not wanted.states or one.state in wanted.states
        ]
        return pages.Page(fitting, found.more, keys[-1] if keys else "")


async def read(connection: database.Connection, stored: rows.Stored) -> transitions.Transition:
    """A transition as it is now, with what becomes of its gates, or became at its commit."""
    if stored.transition.state in transitions.ENDED:
        return await rows.with_reports(connection, stored)
    now = await transition_states.current(connection, stored)
    if now.state in transitions.ENDED:
        return now
    version = await version_rows.get(connection, now.name.version)
    found = await transition_states.find_effective(connection, stored)
    report = await gating.judge_move(connection, gating.Move(version, now.target, found, now))
    return dataclasses.replace(now, report=report)


async def _within(
    connection: database.Connection, parent: Parent, only: Collection[str] | None
) -> rows.Within:
    if isinstance(parent, names.VersionName):
        version = await version_rows.get(connection, parent)
        return rows.Within(version.namespace_id, version.model_id, version.version_id)
    if isinstance(parent, names.ModelName):
        model = await model_rows.get(connection, parent)
        return rows.Within(model.namespace_id, model.model_id)
    namespace_id = await namespace_rows.get_id(connection, parent.namespace)
    return rows.Within(
        namespace_id, among=await model_rows.find_ids(connection, namespace_id, only)
    )


async def _request(
    version: names.VersionName, move: stages.StageMove, change: changes.Change
) -> transitions.Transition:
    connection = change.connection
    await model_rows.lock(connection, version.parent)
    stored = await version_rows.lock(connection, version)
    versions.require_state(stored.version, versions.VersionState.READY, "moved")
    stages.require_move(version, stored.version.stage, move.stage)
    await _require_first(change, stored, move.stage)
    asked, replaces_id = await _draft(change, stored, move)
    await rows.insert(connection, rows.Draft(stored, asked, replaces_id))
    after = {
        "stage": asked.target,
        "origin": asked.origin,
        "reason": asked.reason,
        "replaces": str(asked.replaces) if asked.replaces else None,
        "expires_at": codec.plain(asked.expires_at),
    }
    event = events.Event("transition.requested", asked.name, None, after)
    change.record(version.namespace, event)
    return await read(connection, await rows.get(connection, asked.name))


async def _require_first(change: changes.Change, stored: version_rows.Stored, target: str) -> None:
    """End what is over by itself; raise if the same move was asked for, and is open."""
    for one in await rows.list_open(change.connection, stored.version_id):
        now = await transition_states.current(change.connection, one)
        if now.state in transitions.ENDED:
            await note_end(change, one, now)
        elif now.target == target:
            raise errors.FailedPrecondition(
                f"{now.name} is {now.state} already, asked for by {now.requester}; go on with that "
                "one, or cancel it",
                reason="TRANSITION_OPEN",
                transition=now.name,
                state=now.state,
            )


async def _draft(
    change: changes.Change, stored: version_rows.Stored, move: stages.StageMove
) -> tuple[transitions.Transition, int | None]:
    """The transition that is asked for, and the id of the version that it replaces."""
    connection, origin = change.connection, stored.version.stage
    found = await gating.find_effective(connection, gating.place_of(stored), origin, move.stage)
    holder = None
    if move.stage == stages.PRODUCTION:
        holder = await stage_rows.find_holder_version(connection, stored, stages.PRODUCTION)
    now = await gate_rows.now(connection)
    asked = transitions.Transition(
        name=names.TransitionName(stored.version.name, secrets.token_hex(_KEY_BYTES)),
        origin=origin,
        target=move.stage,
        reason=move.reason,
        requester=change.caller.principal,
        created_at=now,
        expires_at=now + found.lifetime,
        replaces=holder[1] if holder else None,
    )
    return asked, holder[0] if holder else None


async def note_end(
    change: changes.Change, stored: rows.Stored, over: transitions.Transition
) -> None:
    """Note that a transition is over by itself; the change has locked the model."""
    assert over.ended is not None  # noqa: S101 - the caller has seen that it is over
    await rows.end(change.connection, stored, over.ended)
    after = {"state": over.state.value, "stage": over.target, "reason": over.ended.reason}
    event = events.Event(f"transition.{over.state}", over.name, None, after)
    change.record(over.name.namespace, event)


async def note_over(name: names.TransitionName, change: changes.Change) -> bool:
    """Note that a transition is over by itself; False if it is not, or somebody was faster."""
    await model_rows.lock(change.connection, name.version.parent)
    stored = await rows.lock(change.connection, name)
    if stored.transition.state in transitions.ENDED:
        return False
    now = await transition_states.current(change.connection, stored)
    if now.state not in transitions.ENDED:
        return False
    await note_end(change, stored, now)
    return True
