"""Use cases of model names: giving a model another one, and finding it by one it had."""

import functools
from collections.abc import Collection

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, models, names
from modelkeep.service import changes, following, rehoming
from modelkeep.storage import database, model_names
from modelkeep.storage import models as rows


class Moving:
    """Renames models. Every name a model had goes on to mean it."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def move(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.ModelName,
        new: names.ModelName,
        etag: str,
    ) -> models.Model:
        """Give a model another name, in another namespace too; all that is its own comes along.

        Raises `errors.NotFound`, `errors.StaleEtag`, `errors.AlreadyExists` (another model has or
        had the name), `errors.FailedPrecondition` (deleted; see `rehoming.rehome` for what else
        keeps it in its namespace), `errors.QuotaExceeded`.
        """
        policy.require(caller, policy.Action.MOVE_MODEL, name)
        policy.require(caller, policy.Action.CREATE_MODEL, new)
        carry_out = _move if new.namespace == name.namespace else rehoming.rehome
        body = functools.partial(carry_out, name, new, etag)
        return await self._changes.apply(caller, once, models.Model, body)

    async def find_moved(
        self, caller: callers.Caller, wanted: Collection[names.ModelName]
    ) -> following.Moved:
        """Today's names of those models that were called so; asks for no permission.

        Whoever follows a name asks again under the new one, and is refused or not there. Raises
        `errors.NotFound` if one is in another namespace, and not to be read there by the caller.
        """
        async with self._db.connection() as connection:
            return await following.find_all(connection, caller, wanted)


async def _move(
    name: names.ModelName, new: names.ModelName, etag: str, change: changes.Change
) -> models.Model:
    stored = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.model.etag)
    if stored.model.deleted_at is not None:
        raise errors.FailedPrecondition(f"{name} is deleted; restore it first", reason="DELETED")
    if new == name:
        return stored.model
    await model_names.rename(change.connection, stored.model_id, stored.namespace_id, new)
    event = events.Event("model.moved", new, {"name": str(name)}, {"name": str(new)})
    change.record(name.namespace, event)
    return (await rows.get(change.connection, new)).model
