"""Rows of evaluation plans: one for each model whose versions are judged by something."""

from modelkeep.domain import errors, evaluation_plans, names
from modelkeep.storage import codec, database
from modelkeep.storage import models as model_rows

SET = """
INSERT INTO evaluation_plan (model_id, namespace_id, plan, actor) VALUES ($1, $2, $3, $4)
ON CONFLICT (model_id) DO UPDATE SET plan = excluded.plan, actor = excluded.actor,
updated_at = now(), revision = evaluation_plan.revision + 1
RETURNING plan, actor, updated_at, revision"""
FIND = "SELECT plan, actor, updated_at, revision FROM evaluation_plan WHERE model_id = $1"


async def set_plan(
    connection: database.Connection,
    model: model_rows.Stored,
    plan: evaluation_plans.Plan,
    actor: str,
) -> evaluation_plans.Settled:
    """Replace the model's plan; the model must be locked."""
    row = await connection.fetchrow(
        SET, model.model_id, model.namespace_id, codec.dump(plan), actor
    )
    assert row is not None  # noqa: S101 - it returns what it writes
    return _settled(model.model.name, row)


async def find(
    connection: database.Connection, model: model_rows.Stored
) -> evaluation_plans.Settled | None:
    """The model's plan, if it has one."""
    row = await connection.fetchrow(FIND, model.model_id)
    return None if row is None else _settled(model.model.name, row)


async def get(
    connection: database.Connection, model: model_rows.Stored
) -> evaluation_plans.Settled:
    """The model's plan, or `errors.NotFound`."""
    found = await find(connection, model)
    if found is None:
        name = evaluation_plans.name_of(model.model.name)
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return found


def _settled(model: names.ModelName, row: database.Row) -> evaluation_plans.Settled:
    return evaluation_plans.Settled(
        model=model,
        plan=codec.load(evaluation_plans.Plan, row["plan"]),
        actor=row["actor"],
        updated_at=row["updated_at"],
        etag=str(row["revision"]),
    )
