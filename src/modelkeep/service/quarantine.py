"""Setting versions aside because their content is in doubt."""

from modelkeep.domain import events, limits, versions
from modelkeep.service import changes
from modelkeep.storage import versions as rows


async def quarantine(change: changes.Change, stored: rows.Stored, reason: str) -> versions.Version:
    """Set a ready version aside: it keeps its stage and aliases, and they lead to it no more.

    A version that is not ready is left as it is.

    Args:
        change: the change under way; it has locked the version.
        stored: the version as it is now.
        reason: why, for people; cut at `limits.REASON_CHARS` characters.
    """
    if stored.version.state is not versions.VersionState.READY:
        return stored.version
    name = stored.version.name
    why = reason[: limits.REASON_CHARS]
    await rows.quarantine(change.connection, stored.version_id, why)
    before = {"state": stored.version.state.value}
    after = {"state": versions.VersionState.QUARANTINED.value, "reason": why}
    change.record(name.namespace, events.Event("version.quarantined", name, before, after))
    return (await rows.get(change.connection, name)).version
