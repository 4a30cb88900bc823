"""Rows of stage assignments: where each version stands, and stood."""

import dataclasses

from modelkeep.domain import names, stages
from modelkeep.storage import database, versions

# Not before the last one in production left, should the clock have been put back meanwhile.
CLOSE = f"""
UPDATE stage_assignment SET valid_to = greatest(valid_from, clock_timestamp(),
CASE WHEN $2 = '{stages.PRODUCTION}' THEN (SELECT max(o.valid_to) FROM stage_assignment o
    WHERE o.model_id = $3 AND o.stage = '{stages.PRODUCTION}') END)
WHERE version_id = $1 AND valid_to IS NULL RETURNING valid_to"""
INSERT = """
INSERT INTO stage_assignment
(namespace_id, model_id, version_id, stage, reason, actor, valid_from)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING assignment_id"""
SET = """
UPDATE version SET stage = $2, updated_at = now(), revision = revision + 1
WHERE version_id = $1"""
FIND_HOLDER_VERSION = """
SELECT v.version_id, v.version FROM stage_assignment a JOIN version v ON v.version_id = a.version_id
WHERE a.model_id = $1 AND a.stage = $2 AND a.valid_to IS NULL"""
FIND_HOLDER = """
SELECT version_id FROM stage_assignment
WHERE model_id = $1 AND stage = $2 AND valid_to IS NULL"""


async def move(
    connection: database.Connection, stored: versions.Stored, move: stages.StageMove, actor: str
) -> int:
    """End the version's present assignment, begin the next at the same instant; the id of that."""
    ended_at = await connection.fetchval(CLOSE, stored.version_id, move.stage, stored.model_id)
    assignment_id: int = await connection.fetchval(
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
    return assignment_id


async def find_holder(connection: database.Connection, model_id: int, stage: str) -> int | None:
    """Id of a version of the model that stands in the stage."""
    found: int | None = await connection.fetchval(FIND_HOLDER, model_id, stage)
    return found


async def find_holder_version(
    connection: database.Connection, stored: versions.Stored, stage: str
) -> tuple[int, names.VersionName] | None:
    """The version of the same model that stands in a stage, with its id."""
    row = await connection.fetchrow(FIND_HOLDER_VERSION, stored.model_id, stage)
    if row is None:
        return None
    return row["version_id"], dataclasses.replace(stored.version.name, version=row["version"])
