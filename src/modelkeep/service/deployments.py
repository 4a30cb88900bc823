"""Use cases of deployments: what runs where, and what ran."""

import dataclasses
import datetime
import functools
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import deployments, events, names, pages
from modelkeep.service import changes
from modelkeep.storage import codec, database
from modelkeep.storage import deployments as rows
from modelkeep.storage import environments as environment_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import versions as version_rows

_KEY_BYTES = 8


@dataclass(frozen=True, slots=True)
class Recorded:
    """A deployment that runs, and the name of the one it superseded, or ''."""

    deployment: deployments.Deployment
    superseded: str


class Deployments:
    """Records and reads deployments.

    Whoever records one holds the environment, then the model, then the version, in this order.
    """

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def record(
        self, caller: callers.Caller, once: changes.Once, draft: deployments.Draft
    ) -> Recorded:
        """Record that a version runs in an environment; what ran there ends as superseded.

        Raises `errors.InvalidArgument` (a start in the future), `errors.NotFound` (version,
        environment), `errors.FailedPrecondition` (not ready, a stage that the environment does not
        take, another ran then).
        """
        policy.require(caller, policy.Action.RECORD_DEPLOYMENT, draft.version)
        body = functools.partial(_record, draft)
        return await self._changes.apply(caller, once, Recorded, body)

    async def end(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.DeploymentName,
        ending: deployments.Ending,
    ) -> deployments.Deployment:
        """Record how a deployment ended.

        Raises `errors.InvalidArgument` (an end in the future or before the start),
        `errors.NotFound`, `errors.FailedPrecondition` (it has ended).
        """
        policy.require(caller, policy.Action.END_DEPLOYMENT, name)
        body = functools.partial(_end, name, ending)
        return await self._changes.apply(caller, once, deployments.Deployment, body)

    async def get(
        self, caller: callers.Caller, name: names.DeploymentName
    ) -> deployments.Deployment:
        """Read a deployment; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_DEPLOYMENT, name)
        async with self._db.connection() as connection:
            return (await rows.get(connection, name)).deployment

    async def list(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName | names.ModelName,
        wanted: deployments.Filter,
        page: pages.PageRequest,
    ) -> pages.Page[deployments.Deployment]:
        """A page of a namespace's or a model's deployments that may be read, the last first.

        Raises `errors.NotFound` (namespace, model, environment).
        """
        only = policy.require_some(caller, policy.Action.READ_DEPLOYMENT, parent)
        async with self._db.connection() as connection:
            within = await _within(connection, parent, wanted.environment, only)
            return await rows.list_page(connection, within, wanted, page)

    async def history(
        self,
        caller: callers.Caller,
        parent: names.ModelName,
        environment: str,
        as_of: datetime.datetime | None,
        page: pages.PageRequest,
    ) -> pages.Page[deployments.Deployment]:
        """A page of what of a model ran, at an instant or ever, the last begun first.

        Raises `errors.NotFound` (model, environment).
        """
        policy.require(caller, policy.Action.READ_DEPLOYMENT, parent)
        async with self._db.connection() as connection:
            within = await _within(connection, parent, environment)
            assert within.model_id is not None  # noqa: S101 - the parent is a model
            return await rows.list_history(
                connection, within.model_id, within.environment_id, as_of, page
            )


async def _within(
    connection: database.Connection,
    parent: names.NamespaceName | names.ModelName,
    environment: str,
    only: Collection[str] | None = None,
) -> rows.Within:
    environment_id = None
    if environment:
        name = names.EnvironmentName(parent.namespace, environment)
        environment_id = (await environment_rows.get(connection, name)).environment_id
    if isinstance(parent, names.ModelName):
        model = await model_rows.get(connection, parent)
        return rows.Within(model.namespace_id, model.model_id, environment_id)
    namespace_id = await namespace_rows.get_id(connection, parent.namespace)
    among = await model_rows.find_ids(connection, namespace_id, only)
    return rows.Within(namespace_id, None, environment_id, among)


async def _record(draft: deployments.Draft, change: changes.Change) -> Recorded:
    environment = await environment_rows.hold(change.connection, draft.environment)
    await model_rows.lock(change.connection, draft.version.parent)
    version = await version_rows.lock(change.connection, draft.version)
    deployments.require_taken(version.version, environment.environment)
    place = rows.Place(version.model_id, environment)
    now = await rows.now(change.connection)
    wanted = deployments.past(draft.started_at, now, "deployment.start_time")
    running = await rows.list_running(change.connection, place) if exclusive(place) else []
    started_at = await first_free(place, wanted, running, change)
    superseded = ""
    for one in running:
        why = f"superseded by {draft.version.version}"
        ending = deployments.Ending(deployments.Outcome.SUPERSEDED, why, started_at)
        superseded = str((await close(one, ending, change)).name)
    draft = dataclasses.replace(draft, started_at=started_at)
    begun = await begin(version, place, draft, change)
    return Recorded(begun.deployment, superseded)


def exclusive(place: rows.Place) -> bool:
    """Whether only one deployment of a model may run there."""
    return not place.environment.environment.fields.allow_several


async def first_free(
    place: rows.Place,
    wanted: datetime.datetime,
    running: list[rows.Stored],
    change: changes.Change,
) -> datetime.datetime:
    """When a deployment that was to begin then can, where each has the place to itself."""
    if not exclusive(place):
        return wanted
    last = await rows.find_last_exclusive(change.connection, place)
    giving_way = [one.deployment for one in running]
    return deployments.start_after(wanted, last.deployment if last else None, giving_way)


async def begin(
    version: version_rows.Stored,
    place: rows.Place,
    draft: deployments.Draft,
    change: changes.Change,
    rollback_of: rows.Stored | None = None,
) -> rows.Stored:
    """Insert a deployment within a change, and tell of it; the draft says when it began."""
    assert draft.started_at is not None  # noqa: S101 - decided before
    key = secrets.token_hex(_KEY_BYTES)
    actor = change.caller.principal
    entry = rows.Entry(key, version, place, draft, draft.started_at, actor, rollback_of)
    begun = await rows.insert(change.connection, entry)
    one = begun.deployment
    change.record(
        one.name.namespace, events.Event("deployment.recorded", one.name, None, _begun(one))
    )
    return begun


def _begun(one: deployments.Deployment) -> events.Fields:
    return {
        "version": str(one.version),
        "environment": str(one.environment),
        "from_stage": one.stage,
        "target": one.target,
        "labels": codec.plain(one.labels),
        "started_at": codec.plain(one.started_at),
        "reason": one.reason,
        "rollback_of": str(one.rollback_of) if one.rollback_of else None,
    }


async def close(
    stored: rows.Stored, ending: deployments.Ending, change: changes.Change
) -> deployments.Deployment:
    """End a running deployment within a change, and tell of it; the ending says when."""
    ended = await rows.end(change.connection, stored, ending, change.caller.principal)
    one = ended.deployment
    before = {"outcome": None}
    after = {
        "version": str(one.version),
        "environment": str(one.environment),
        "outcome": ending.outcome.value,
        "ended_at": codec.plain(one.ended_at),
        "reason": ending.reason,
    }
    change.record(one.name.namespace, events.Event("deployment.ended", one.name, before, after))
    return one


async def _end(
    name: names.DeploymentName, ending: deployments.Ending, change: changes.Change
) -> deployments.Deployment:
    await model_rows.lock(change.connection, name.parent)
    stored = await rows.get(change.connection, name)
    deployments.require_running(stored.deployment)
    now = await rows.now(change.connection)
    wanted = deployments.past(ending.ended_at, now, "end_time")
    ended_at = deployments.end_after(wanted, stored.deployment)
    return await close(stored, dataclasses.replace(ending, ended_at=ended_at), change)
