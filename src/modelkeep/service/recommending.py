"""Use case of recommending: which version to promote, by what was measured and by the gates."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import (
    errors,
    evaluation_plans,
    evaluations,
    gates,
    matching,
    recommending,
    refs,
    stages,
    versions,
)
from modelkeep.service import comparing, gating
from modelkeep.storage import candidates as rows
from modelkeep.storage import database, resolving
from modelkeep.storage import evaluation_plans as plan_rows
from modelkeep.storage import evaluations as evaluation_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows

Judge = Callable[[database.Connection, version_rows.Stored, str], Awaitable[gates.Report]]
_Stored = version_rows.Stored


class Recommending:
    """Recommends; it changes nothing.

    Args:
        db: where everything is.
        judge: judges the gates before a stage.
    """

    def __init__(self, db: database.Database, judge: Judge = gating.judge) -> None:
        self._db = db
        self._judge = judge

    async def recommend(
        self, caller: callers.Caller, question: recommending.Question
    ) -> tuple[evaluation_plans.Settled, recommending.Recommendation]:
        """Which version to move to a stage, if any, and the plan that was judged by.

        Raises `errors.NotFound` (model, a reference), `errors.FailedPrecondition`
        (NO_EVALUATION_PLAN).
        """
        policy.require(caller, policy.Action.READ_EVALUATION, question.model)
        async with self._db.connection() as connection:
            model = await model_rows.get(connection, question.model)
            settled = await _plan(connection, model, question)
            baseline = await _standing(connection, question)
            chosen = await self._candidates(connection, caller, model, question)
            evidence = _Evidence(settled.plan)
            await evidence.find(connection, baseline, chosen)
            obstacles = [await self._may_move(connection, one, question.stage) for one in chosen]
        setting = recommending.Setting(
            settled.plan,
            question.stage,
            baseline.version.name if baseline else None,
            evidence.figures_of(baseline) or {},
            question.significance,
        )
        contenders = [
            evidence.contender(one, *found) for one, found in zip(chosen, obstacles, strict=True)
        ]
        # Scores of thousands of examples may be compared: not on the loop that serves others.
        found = await asyncio.to_thread(recommending.recommend, setting, contenders, evidence.place)
        return settled, found

    async def _candidates(
        self,
        connection: database.Connection,
        caller: callers.Caller,
        model: model_rows.Stored,
        question: recommending.Question,
    ) -> list[_Stored]:
        if not question.candidates:
            origins = [one for one in stages.STAGES if question.stage in stages.MOVES[one]]
            return await rows.list_newest(connection, model.model_id, origins)
        named = await comparing.resolved(connection, caller, question.candidates)
        return [await version_rows.get(connection, name) for name in named]

    async def _may_move(
        self, connection: database.Connection, stored: _Stored, stage: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Why a version may not move to the stage, or what its gates say if it may."""
        version = stored.version
        if version.stage == stage:
            return (f"It is in {stage} already.",), ()
        if version.state is not versions.VersionState.READY:
            return (f"It is {version.state}; only a ready version can move.",), ()
        obstacles = []
        if stage not in stages.MOVES[version.stage]:
            obstacles.append(f"It is in {version.stage}, from where no move leads to {stage}.")
        report = await self._judge(connection, stored, stage)
        obstacles += [f"Its gate does not pass: {one.sentence}." for one in report.failed]
        return tuple(obstacles), _support(report, stage)


def _support(report: gates.Report, stage: str) -> tuple[str, ...]:
    if not report.verdicts:
        return (f"There are no gates for {stage}.",)
    waiting = [one for one in report.verdicts if one.is_pending]
    passed = f"Of its gates for {stage} {len(report.verdicts) - len(waiting)} pass"
    if not waiting:
        return (f"{passed}, which is all.",)
    return (f"{passed}; still wanting: {'; '.join(one.sentence for one in waiting)}.",)


async def _plan(
    connection: database.Connection, model: model_rows.Stored, question: recommending.Question
) -> evaluation_plans.Settled:
    """The model's plan, with the dataset that was asked for."""
    settled = await plan_rows.find(connection, model)
    if settled is None:
        raise errors.FailedPrecondition(
            f"nobody has said what versions of {question.model} are judged by; say so with "
            "SetEvaluationPlan (modelkeep eval plan set)",
            reason="NO_EVALUATION_PLAN",
        )
    if not question.dataset:
        return settled
    plan = dataclasses.replace(settled.plan, dataset=question.dataset, revision=question.revision)
    return dataclasses.replace(settled, plan=plan)


async def _standing(
    connection: database.Connection, question: recommending.Question
) -> _Stored | None:
    """The version that stands in the stage now; of several the one that was moved there last."""
    try:
        ref = refs.Ref(question.model, refs.ByStage(question.stage))
        version = await resolving.resolve(connection, ref, None)
    except errors.NotFound:
        return None
    return await version_rows.get(connection, version.name)


class _Evidence:
    """What was measured by the plan, the same way of all."""

    def __init__(self, plan: evaluation_plans.Plan) -> None:
        self._plan = plan
        self._figures: dict[int, recommending.Figures] = {}
        self._lacking: dict[int, str] = {}
        self.place = ""

    async def find(
        self,
        connection: database.Connection,
        baseline: _Stored | None,
        chosen: Sequence[_Stored],
    ) -> None:
        """Look for the run that all are held against, and for those that compare with it."""
        every = [*([baseline] if baseline else []), *chosen]
        ids = [one.version_id for one in every]
        found = await evaluation_rows.list_current(connection, ids, self._plan.dataset)
        own: dict[int, list[evaluation_rows.Stored]] = {number: [] for number in ids}
        for one in found:
            own[one.version_id].append(one)
        # What stands there is the measure; without it, the newest version that was measured.
        measures = [baseline] if baseline else sorted(every, key=lambda s: -s.version.ordinal)
        reference = None
        for measure in measures:
            reference = reference or await self._reference(connection, own[measure.version_id])
        if reference is None:
            return
        self.place = str(reference.dataset)
        await self._match(connection, reference, own)

    async def _reference(
        self, connection: database.Connection, found: Sequence[evaluation_rows.Stored]
    ) -> evaluations.Evaluation | None:
        """The last run on the plan's dataset, by its suite, that has its metric."""
        plan = self._plan
        fitting = [
            one
            for one in found
            if plan.suite in {"", one.evaluation.suite}
            and plan.revision in {"", one.evaluation.dataset.revision}
        ]
        figures = await evaluation_rows.list_figures(
            connection, [one.evaluation_id for one in fitting]
        )
        having = [
            one.evaluation
            for one in fitting
            if any(
                (f.metric.name, f.metric.slice) == (plan.metric, plan.slice)
                for f in figures[one.evaluation_id]
            )
        ]
        return max(having, key=lambda one: (one.run_at, one.created_at), default=None)

    async def _match(
        self,
        connection: database.Connection,
        reference: evaluations.Evaluation,
        own: dict[int, list[evaluation_rows.Stored]],
    ) -> None:
        used: dict[int, int] = {}
        for version_id, found in own.items():
            other, reason = matching.match(
                [one.evaluation for one in found], reference, f"{reference.name.version.version}'s"
            )
            if other is None:
                self._lacking[version_id] = reason
                continue
            used[version_id] = next(s.evaluation_id for s in found if s.evaluation is other)
        figures = await evaluation_rows.list_figures(connection, list(used.values()))
        for version_id, number in used.items():
            keyed = {(one.metric.name, one.metric.slice): one for one in figures[number]}
            self._figures[version_id] = keyed

    def figures_of(self, stored: _Stored | None) -> recommending.Figures | None:
        """What was measured of a version, or None."""
        return self._figures.get(stored.version_id) if stored else None

    def contender(
        self, stored: _Stored, obstacles: tuple[str, ...], support: tuple[str, ...]
    ) -> recommending.Contender:
        """The version with what speaks for and against it."""
        lacking = self._lacking.get(stored.version_id) or (
            "" if self.place else f"no evaluation on {self._plan.place} to hold it against"
        )
        return recommending.Contender(
            stored.version.name,
            stored.version.ordinal,
            obstacles,
            support,
            self.figures_of(stored),
            lacking,
        )
