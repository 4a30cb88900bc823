"""Rows of stage assignments: where each version stands, and stood."""

from modelkeep.domain import stages
from modelkeep.storage import database, versions

CLOSE = """
UPDATE stage_assignment SET valid_to = greatest(valid_from, clock_timestamp())
WHERE version_id = $1 AND valid_to IS NULL RETURNING valid_to"""
INSERT = """
INSERT INTO stage_assignment
(namespace_id, model_id, version_id, stage, reason, actor, valid_from)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
SET = """
UPDATE version SET stage = $2, updated_at = now(), revision = revision + 1
WHERE version_id = $1"""
FIND_HOLDER = """
SELECT version_id FROM stage_assignment
WHERE model_id = $1 AND stage = $2 AND valid_to IS NULL"""


async def move(
    connection: database.Connection, stored: versions.Stored, move: stages.StageMove, actor: str
) -> None:
    """End the version's present assignment and begin the next at the same instant."""
    ended_at = await connection.fetchval(CLOSE, stored.version_id)
    await connection.execute(
        INSERT,
        stored.namespace_id,
        stored.model_id,
        stored.version_id,
        move.stage,
        move.reason,
        actor,
        ended_at,
    )
    await connection.execute(SET, stored.version_id, move.stage)


async def find_holder(connection: database.Connection, model_id: int, stage: str) -> int | None:
    """Id of a version of the model that stands in the stage."""
    found: int | None = await connection.fetchval(FIND_HOLDER, model_id, stage)
    return found
