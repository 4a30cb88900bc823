"""Use cases of evaluation plans: what a model's versions are judged by."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import evaluation_plans, events, names
from modelkeep.service import changes
from modelkeep.storage import codec, database
from modelkeep.storage import evaluation_plans as rows
from modelkeep.storage import models as model_rows


class EvaluationPlans:
    """Sets and reads plans; each model has one at most."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def set(
        self,
        caller: callers.Caller,
        once: changes.Once,
        model: names.ModelName,
        plan: evaluation_plans.Plan,
        etag: str,
    ) -> evaluation_plans.Settled:
        """Replace a model's plan; raises `errors.NotFound` (model), `errors.StaleEtag`."""
        policy.require(caller, policy.Action.SET_EVALUATION_PLAN, model)
        body = functools.partial(_set, model, plan, etag)
        return await self._changes.apply(caller, once, evaluation_plans.Settled, body)

    async def get(self, caller: callers.Caller, model: names.ModelName) -> evaluation_plans.Settled:
        """Read a model's plan; raises `errors.NotFound` (model, or it has none)."""
        policy.require(caller, policy.Action.READ_EVALUATION, model)
        async with self._db.connection() as connection:
            return await rows.get(connection, await model_rows.get(connection, model))


async def _set(
    model: names.ModelName, plan: evaluation_plans.Plan, etag: str, change: changes.Change
) -> evaluation_plans.Settled:
    stored = await model_rows.lock(change.connection, model)
    before = await rows.find(change.connection, stored)
    changes.require_etag(model, etag, before.etag if before else "0")
    settled = await rows.set_plan(change.connection, stored, plan, change.caller.principal)
    was = codec.plain(before.plan) if before else None
    change.record(
        model.namespace, events.Event("evaluation_plan.set", model, was, codec.plain(plan))
    )
    return settled
