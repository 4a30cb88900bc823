"""What the next version of a model is chosen by; hold the model to keep the answers true."""

from modelkeep.storage import codec, database

FIND_HIGHEST_RELEASE = """
SELECT version FROM version WHERE model_id = $1 AND NOT prerelease
ORDER BY semver_key DESC LIMIT 1"""
FIND_INTENDED = """
SELECT version_id FROM version
WHERE model_id = $1 AND intended_digest = $2 AND state = 'draft'
AND intended_digest IS NOT NULL AND creator = $3 ORDER BY ordinal DESC LIMIT 1"""
SET_INTENDED = """
UPDATE version SET intended_digest = $3 WHERE model_id = $1 AND ordinal = $2"""


async def find_highest_release(connection: database.Connection, model_id: int) -> str:
    """The model's highest version that is no pre-release, whatever its state; '' for none."""
    return await connection.fetchval(FIND_HIGHEST_RELEASE, model_id) or ""


async def find_intended(
    connection: database.Connection, model_id: int, digest: str, creator: str
) -> int | None:
    """Id of the creator's newest open draft that is to have the manifest."""
    found: int | None = await connection.fetchval(
        FIND_INTENDED, model_id, codec.digest_bytes(digest), creator
    )
    return found


async def set_intended(
    connection: database.Connection, model_id: int, ordinal: int, digest: str
) -> None:
    """Keep with a draft what manifest it is to have."""
    await connection.execute(SET_INTENDED, model_id, ordinal, codec.digest_bytes(digest))
