"""The move of a version to another stage itself, with all that it brings about."""

from dataclasses import dataclass

from modelkeep.domain import errors, events, gate_policies, gates, limits, names, stages, versions
from modelkeep.service import changes
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import stages as rows
from modelkeep.storage import versions as version_rows

_OUT = {
    gate_policies.Displaced.ARCHIVE: stages.ARCHIVED,
    gate_policies.Displaced.STAGE: stages.STAGING,
}


@dataclass(frozen=True, slots=True)
class Move:
    """A version where it stands now, the name of the one that made room or '', and the gates."""

    version: versions.Version
    displaced: str
    report: gates.Report | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A move that was made, and the id of the assignment it became."""

    move: Move
    assignment_id: int


async def move(
    change: changes.Change,
    stored: version_rows.Stored,
    wanted: stages.StageMove,
    displaced: gate_policies.Displaced,
    report: gates.Report | None,
) -> Made:
    """Move a version, make room for it in production, and keep what became of the gates.

    Raises `errors.FailedPrecondition` (PRODUCTION_TAKEN).

    Args:
        change: the change under way; it has locked the model and the version.
        stored: the version as it is now.
        wanted: where to, and why; the move exists.
        displaced: what becomes of the version that stands in production.
        report: what became of the gates; None if it meets none.
    """
    out = ""
    if wanted.stage == stages.PRODUCTION:
        out = await _make_room(change, stored, wanted.reason, displaced)
    assignment_id = await _assign(change, stored, wanted)
    if report is not None:
        await gate_rows.insert_results(
            change.connection, stored.namespace_id, assignment_id, report
        )
    moved = (await version_rows.get(change.connection, stored.version.name)).version
    return Made(Move(moved, out, report), assignment_id)


async def _make_room(
    change: changes.Change,
    stored: version_rows.Stored,
    reason: str,
    displaced: gate_policies.Displaced,
) -> str:
    found = await rows.find_holder_version(change.connection, stored, stages.PRODUCTION)
    if found is None:
        return ""
    holder_id, name = found
    if displaced not in _OUT:
        raise _taken(stored, name)
    holder = await version_rows.lock_by_id(change.connection, holder_id)
    why = f"replaced by {stored.version.name.version}: {reason}"[: limits.REASON_CHARS]
    await _assign(change, holder, stages.StageMove(_OUT[displaced], why))
    return str(name)


def _taken(stored: version_rows.Stored, holder: names.VersionName) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        f"{holder} is in production, and by the gate policy {stored.version.name} does not replace "
        "it; move it out first",
        reason="PRODUCTION_TAKEN",
        holder=holder,
    )


async def _assign(
    change: changes.Change, stored: version_rows.Stored, wanted: stages.StageMove
) -> int:
    name = stored.version.name
    who = change.caller.principal
    assignment_id = await rows.move(change.connection, stored, wanted, who)
    before = {"stage": stored.version.stage}
    after = {"stage": wanted.stage, "reason": wanted.reason}
    change.record(name.namespace, events.Event("stage.set", name, before, after))
    return assignment_id
