"""Judging the gates of a move: facts are gathered here, and nowhere else."""

import asyncio
import dataclasses
import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from modelkeep.domain import (
    comparison,
    errors,
    gate_facts,
    gate_metrics,
    gate_policies,
    gate_rules,
    gates,
    names,
    stages,
    transitions,
)
from modelkeep.service import approving, signatures
from modelkeep.storage import database, versions
from modelkeep.storage import evaluations as evaluation_rows
from modelkeep.storage import gates as rows
from modelkeep.storage import stages as stage_rows
from modelkeep.storage import transitions as transition_rows

_OF_FIGURES = (gates.MetricThreshold, gates.NonRegression)
_OF_EVALUATIONS = (*_OF_FIGURES, gates.EvaluationAge, gates.Evaluated)


@dataclass(frozen=True, slots=True)
class Move:
    """A move that is to be judged.

    Attributes:
        stored: the version.
        target: where to.
        found: what holds for the move.
        transition: the transition that it is, or None.
        is_tried: whether it is being made now: approvals that are wanting then fail.
    """

    stored: versions.Stored
    target: str
    found: gate_policies.Effective
    transition: transitions.Transition | None = None
    is_tried: bool = False


async def judge(
    connection: database.Connection, stored: versions.Stored, target_stage: str
) -> gates.Report:
    """What becomes of the gates before a stage, as things are now.

    Gates of approvals are pending where approvals are wanting: `Report.passed` says whether
    everything else is met. All may change at once unless the caller has locked the model.
    """
    found = await rows.find_effective(connection, place_of(stored), target_stage)
    return await judge_move(connection, Move(stored, target_stage, found))


def place_of(stored: versions.Stored) -> rows.Place:
    """Whose policies a version meets."""
    return rows.Place(stored.namespace_id, stored.model_id)


async def find_effective(
    connection: database.Connection,
    place: rows.Place,
    origin: str,
    target: str,
    *,
    hold: bool = False,
) -> gate_policies.Effective:
    """What holds for a move; for one that does not lead up nothing does.

    Args:
        connection: where.
        place: ids of the model and its namespace.
        origin: where it stands.
        target: where to.
        hold: keep policies as they are to the end of the transaction, which has locked the model.
    """
    if not gate_policies.is_gated(origin, target):
        return gate_policies.Effective()
    return await rows.find_effective(connection, place, target, hold=hold)


async def judge_move(connection: database.Connection, move: Move) -> gates.Report:
    """What becomes of a move's gates."""
    judged_at = await rows.now(connection)
    if not move.found.gates:
        return gates.Report(move.target, (), judged_at)
    facts = await _gather(connection, move, judged_at)
    # A test by tens of thousands of scores takes a while, and this loop serves others.
    verdicts = await asyncio.to_thread(_verdicts, move, facts)
    return gates.Report(move.target, verdicts, judged_at)


def _verdicts(move: Move, facts: gate_facts.Facts) -> tuple[gates.Verdict, ...]:
    found = (gate_rules.judge(gate, facts, policy) for gate, policy in move.found.gates)
    return tuple(one if move.is_tried else _pending(one) for one in found)


def _pending(verdict: gates.Verdict) -> gates.Verdict:
    waits = isinstance(verdict.gate, gates.Approvals) and not verdict.passed
    return dataclasses.replace(verdict, is_pending=waits)


def require_passed(version: names.VersionName, report: gates.Report, remedy: str = "") -> None:
    """Raise `errors.GatesFailed` naming each gate that is not met, and what helps."""
    if not report.failed:
        return
    told = "; ".join(one.sentence for one in report.failed)
    raise errors.GatesFailed(
        f"{version} does not meet {len(report.failed)} of {len(report.verdicts)} gates before "
        f"{report.stage}{remedy}: {told}",
        [errors.Unmet(one.gate.kind, str(version), one.sentence) for one in report.failed],
    )


async def _gather(
    connection: database.Connection, move: Move, now: datetime.datetime
) -> gate_facts.Facts:
    """Everything that one of the gates asks for."""
    stored, asked = move.stored, [gate for gate, _ in move.found.gates]
    holder = await stage_rows.find_holder_version(connection, stored, stages.PRODUCTION)
    holder_id, production = holder or (0, None)
    kinds = {type(gate) for gate in asked}
    has_files = gates.FileSafety in kinds
    return gate_facts.Facts(
        now=now,
        version=stored.version,
        owner=await rows.owner(connection, stored.model_id),
        staged_at=await transition_rows.staged_at(connection, stored.version_id),
        runs=await _runs(connection, stored.version_id, asked),
        production=production,
        production_runs=await _runs(connection, holder_id, asked, (gates.NonRegression,)),
        pickles=await rows.pickles(connection, stored.version_id) if has_files else (),
        signature=await _signature(connection, stored) if gates.Signed in kinds else None,
        approvers=await approving.approvers_of(connection, move.transition, hold=move.is_tried),
        transition=move.transition.name if move.transition else None,
    )


async def _runs(
    connection: database.Connection,
    version_id: int,
    asked: Iterable[gates.Gate],
    kinds: tuple[type[gates.Gate], ...] = _OF_EVALUATIONS,
) -> tuple[comparison.Run, ...]:
    """A version's evaluations on the datasets of gates of these kinds, with their figures."""
    wanted = [gate for gate in asked if isinstance(gate, kinds)]
    metrics = {gate.measured.metric for gate in wanted if isinstance(gate, _OF_FIGURES)}
    found = [
        one
        for dataset in sorted({name for gate in wanted for name in _datasets(gate)})
        for one in await evaluation_rows.list_current(connection, [version_id], dataset)
    ]
    ids = [one.evaluation_id for one in found]
    figures = await evaluation_rows.list_named_figures(connection, ids, metrics)
    return tuple(
        comparison.Run(
            one.evaluation.name.version,
            one.evaluation,
            {(f.metric.name, f.metric.slice): f for f in figures[one.evaluation_id]},
        )
        for one in found
    )


def _datasets(gate: gates.Gate) -> Iterable[str]:
    match gate:
        case gates.MetricThreshold() | gates.NonRegression():
            return [gate.measured.dataset]
        case gates.EvaluationAge():
            return [gate.dataset]
        case gates.Evaluated():
            return [gate_metrics.split(text)[0] for text in gate.datasets]
    return []


async def _signature(
    connection: database.Connection, stored: versions.Stored
) -> gate_facts.Signature:
    found = await signatures.verdict(connection, stored)
    return gate_facts.Signature(found.is_trusted, found.sentence.rstrip("."), found.evidence)
