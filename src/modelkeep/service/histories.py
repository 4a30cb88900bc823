"""Use cases of histories: who moved what, when and why."""

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import histories, names, pages
from modelkeep.storage import database
from modelkeep.storage import histories as rows
from modelkeep.storage import models as model_rows


class Histories:
    """Reads what happened to a model; every list raises `errors.NotFound` without the model."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def list_aliases(
        self,
        caller: callers.Caller,
        model: names.ModelName,
        wanted: histories.Filter,
        page: pages.PageRequest,
    ) -> pages.Page[histories.AliasAssignment]:
        """A page of where its aliases pointed, the newest first."""
        policy.require(caller, policy.Action.READ_ALIAS, model)
        async with self._db.connection() as connection:
            stored = await model_rows.get(connection, model)
            return await rows.list_aliases(connection, stored.model_id, wanted, page)

    async def list_stages(
        self,
        caller: callers.Caller,
        model: names.ModelName,
        wanted: histories.Filter,
        page: pages.PageRequest,
    ) -> pages.Page[histories.StageAssignment]:
        """A page of where its versions stood, the newest first."""
        policy.require(caller, policy.Action.READ_VERSION, model)
        async with self._db.connection() as connection:
            stored = await model_rows.get(connection, model)
            return await rows.list_stages(connection, stored.model_id, wanted, page)

    async def list_events(
        self,
        caller: callers.Caller,
        model: names.ModelName,
        wanted: histories.Filter,
        page: pages.PageRequest,
    ) -> pages.Page[histories.Entry]:
        """A page of everything that happened to it, its versions and aliases, the newest first."""
        policy.require(caller, policy.Action.READ_HISTORY, model)
        async with self._db.connection() as connection:
            stored = await model_rows.get(connection, model)
            return await rows.list_events(
                connection, stored.namespace_id, stored.model_id, wanted, page
            )
