"""How a version came to its stage: who moved it, on whose approval, past which gates."""

from modelkeep.domain import gates, histories, pages, sheets, stages, transitions
from modelkeep.storage import database
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import histories as history_rows
from modelkeep.storage import transitions as transition_rows
from modelkeep.storage import versions as version_rows


async def promotion(
    connection: database.Connection, stored: version_rows.Stored
) -> sheets.Promotion | None:
    """How a version came to where it stands; None if it stands where it began.

    Gates are told as they were judged then: judged anew, they would depend on the time.
    """
    version = stored.version
    wanted = histories.Filter(stage=version.stage, version=version.name.version)
    page = await history_rows.list_stages(connection, stored.model_id, wanted, pages.PageRequest(1))
    if version.stage == stages.DEVELOPMENT or not page.entries:
        return None
    ((key, move),) = page.entries
    assignment_id = int(key)
    reports = await gate_rows.list_results(connection, [assignment_id])
    report = reports.get(assignment_id)
    asked = await _transition(connection, stored, assignment_id)
    return sheets.Promotion(
        stage=version.stage,
        moved_by=move.actor,
        moved_at=move.begun_at,
        reason=move.reason,
        transition=str(asked.name) if asked else "",
        requester=asked.requester if asked else "",
        approvals=_approvals(asked) if asked else (),
        gates=tuple(map(_gate, report.verdicts)) if report else (),
    )


async def _transition(
    connection: database.Connection, stored: version_rows.Stored, assignment_id: int
) -> transitions.Transition | None:
    """The transition that became the move."""
    page = await transition_rows.list_page(
        connection,
        transition_rows.Within(stored.namespace_id, stored.model_id, stored.version_id),
        transitions.Filter(frozenset({transitions.State.COMMITTED}), stored.version.stage),
        pages.PageRequest(1),
    )
    for _, one in page.entries:
        if one.assignment_id == assignment_id:
            return one.transition
    return None


def _approvals(asked: transitions.Transition) -> tuple[sheets.Approval, ...]:
    last = transitions.counting(asked.verdicts).values()
    return tuple(
        sheets.Approval(one.approver, one.approved, one.created_at, one.roles, one.comment)
        for one in sorted(last, key=lambda one: (one.created_at, one.approver))
    )


def _gate(verdict: gates.Verdict) -> sheets.GateVerdict:
    return sheets.GateVerdict(
        gate=verdict.gate.kind.replace("_", " "),
        passed=verdict.passed,
        sentence=sheets.cut(verdict.sentence),
        evidence=verdict.evidence,
    )
