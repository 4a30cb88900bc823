"""Setting versions aside because their content is in doubt."""

from collections.abc import Iterable

from modelkeep.domain import deployments as deployment_rules
from modelkeep.domain import errors, events, limits, versions
from modelkeep.service import changes
from modelkeep.storage import deployments, rot
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
    running = await deployments.find_active(change.connection, stored.version_id)
    before = {"state": stored.version.state.value}
    after: events.Fields = {
        "state": versions.VersionState.QUARANTINED.value,
        "reason": why,
        "runs_in": [str(one.deployment.environment) for one in running],
    }
    change.record(name.namespace, events.Event("version.quarantined", name, before, after))
    _warn(change, [one.deployment for one in running], why)
    return (await rows.get(change.connection, name)).version


def _warn(
    change: changes.Change, running: Iterable[deployment_rules.Deployment], reason: str
) -> None:
    """Tell of each place where a version runs that was set aside; nothing is stopped there."""
    for one in running:
        after: events.Fields = {
            "version": str(one.version),
            "environment": str(one.environment),
            "target": one.target,
            "reason": reason,
        }
        event = events.Event("deployment.endangered", one.name, None, after)
        change.record(one.name.namespace, event)


async def release(change: changes.Change, stored: rows.Stored, reason: str) -> versions.Version:
    """Make a quarantined version ready again; where its stage and aliases are, it counts again.

    Raises `errors.FailedPrecondition` if it is not quarantined, or the store has not kept a file.

    Args:
        change: the change under way; it has locked the version.
        stored: the version as it is now.
        reason: why, for people.
    """
    versions.require_state(stored.version, versions.VersionState.QUARANTINED, "released")
    await _require_sound(change, stored)
    name = stored.version.name
    await rows.release(change.connection, stored.version_id)
    before = {
        "state": stored.version.state.value,
        "quarantine_reason": stored.version.quarantine_reason,
    }
    after = {"state": versions.VersionState.READY.value, "reason": reason}
    change.record(name.namespace, events.Event("version.released", name, before, after))
    return (await rows.get(change.connection, name)).version


async def _require_sound(change: changes.Change, stored: rows.Stored) -> None:
    rotten = await rot.list_rotten_of(change.connection, stored.version_id, 1)
    for file in rotten:
        raise errors.FailedPrecondition(
            f"{stored.version.name} cannot be released: the store has not kept {file.path} "
            f"({file.rot}); push the same files again, then release it",
            reason="FILES_ROTTEN",
            path=file.path,
            digest=file.digest,
        )
