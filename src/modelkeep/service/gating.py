"""Judging the gates of a move: facts are gathered here, and nowhere else."""

from modelkeep.domain import gates
from modelkeep.storage import database, versions


async def judge(
    connection: database.Connection,
    stored: versions.Stored,  # noqa: ARG001 - there are no policies to judge by yet
    target_stage: str,
) -> gates.Report:
    """What becomes of the gates before a stage, as things are now.

    Gates of approvals are pending where approvals are wanting: `Report.passed` says whether
    everything else is met. All may change at once unless the caller has locked the model.
    """
    now = await connection.fetchval("SELECT clock_timestamp()")
    return gates.Report(target_stage, (), now)
