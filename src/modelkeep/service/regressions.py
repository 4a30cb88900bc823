"""Use case of regression checks: whether results are as good as a baseline's."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import comparison, errors, evaluations, matching, names, refs, regression
from modelkeep.service import comparing
from modelkeep.storage import database
from modelkeep.storage import evaluations as rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows

_UNRECORDED = "0.0.0-unrecorded"
"""Stands for the version of results that are not recorded; nobody is shown it."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What was compared, and what was not."""

    lines: Sequence[comparison.Line] = ()
    unmatched: Sequence[tuple[str, str]] = ()
    slices_tested: int = 0


class Regressions:
    """Checks; it changes nothing."""

    def __init__(self, db: database.Database, compare: comparing.Comparing) -> None:
        self._db = db
        self._compare = compare

    async def check(
        self, caller: callers.Caller, question: regression.Question
    ) -> regression.Report:
        """Whether results are as good as the baseline's; raises `errors.NotFound` (a reference).

        That nothing has the baseline's stage or alias yet is no error: then nothing compares.
        """
        for ref in (question.ref, question.baseline):
            policy.require(caller, policy.Action.READ_EVALUATION, ref.model)
        async with self._db.connection() as connection:
            baseline = await _baseline(connection, caller, question.baseline)
            if question.results is None:
                await comparing.resolved(connection, caller, [question.ref])
        if baseline is None:
            selector = question.baseline.selector
            assert isinstance(selector, refs.ByStage | refs.ByAlias)  # noqa: S101 - others raise
            place = selector.stage if isinstance(selector, refs.ByStage) else selector.alias
            found = _Found(unmatched=[("", f"no version of {question.baseline.model} is {place}")])
        elif question.results is None:
            found = await self._recorded(caller, question, baseline)
        else:
            found = await self._unrecorded(question, question.results, baseline)
        rules = question.rules
        checks = regression.check_lines(found.lines, rules)
        checks += [regression.unmatched(*one, rules) for one in found.unmatched]
        return regression.Report(
            question.text,
            baseline,
            question.place,
            regression.ordered(checks),
            rules.significance,
            found.slices_tested,
        )

    async def _recorded(
        self, caller: callers.Caller, question: regression.Question, baseline: names.VersionName
    ) -> _Found:
        exact = refs.Ref(baseline.parent, refs.ByVersion(baseline.version))
        asked = comparison.Question(
            (question.ref,),
            question.dataset,
            question.revision,
            question.suite,
            exact,
            question.rules.significance,
        )
        found = await self._compare.compare(caller, asked)
        reasons = [(one.suite, _whose(one, baseline)) for one in found.unmatched]
        # A suite that does not compare has lines of the baseline's figures alone: told once.
        missing = {suite for suite, _ in reasons}
        lines = [line for line in found.lines if line.suite not in missing]
        return _Found(lines, reasons, found.slices_tested)

    async def _unrecorded(
        self,
        question: regression.Question,
        results: evaluations.Report,
        baseline: names.VersionName,
    ) -> _Found:
        async with self._db.connection() as connection:
            stored = await version_rows.get(connection, baseline)
            found = await rows.list_current(connection, [stored.version_id], results.dataset.name)
            by_name = {one.evaluation.name: one for one in found}
            own = [one.evaluation for one in found]
            other, reason = matching.match(own, results, "the results'")
            if other is None:
                return _Found(unmatched=[(results.suite, f"of the baseline: {reason}")])
            number = by_name[other.name].evaluation_id
            figures = (await rows.list_figures(connection, [number]))[number]
        before = comparison.Run(baseline, other, _keyed(figures))
        after = _run_of(question, results)
        # Thousands of figures, some of them with scores: not on the loop that serves others.
        lines, tested = await asyncio.to_thread(
            comparison.compare_suite,
            results.suite,
            before,
            [after],
            question.rules.significance,
        )
        return _Found(lines, (), tested)


async def _baseline(
    connection: database.Connection, caller: callers.Caller, ref: refs.Ref
) -> names.VersionName | None:
    """The version that is meant; None if nothing has that stage or alias now."""
    try:
        return (await comparing.resolved(connection, caller, [ref]))[0]
    except errors.NotFound:
        if not isinstance(ref.selector, refs.ByStage | refs.ByAlias):
            raise
        await model_rows.get(connection, ref.model)
        return None


def _whose(one: comparison.Unmatched, baseline: names.VersionName) -> str:
    """The reason, with whom it is about where it tells of one of the two only."""
    if not one.reason.startswith("no evaluation"):
        return one.reason
    return f"the {'baseline' if one.version == baseline else 'version'} has {one.reason}"


def _keyed(
    figures: Sequence[evaluations.Scored],
) -> dict[tuple[str, str], evaluations.Scored]:
    return {(one.metric.name, one.metric.slice): one for one in figures}


def _run_of(question: regression.Question, results: evaluations.Report) -> comparison.Run:
    model = question.ref.model
    version = names.VersionName(model.namespace, model.model, _UNRECORDED)
    evaluation = evaluations.Evaluation(
        name=names.EvaluationName(version, "0" * 16),
        dataset=results.dataset,
        suite=results.suite,
        evaluator=results.evaluator,
        run_at=results.run_at,
        metrics=(),
        metric_count=len(results.figures),
        note=results.note,
        actor="",
        created_at=results.run_at,
    )
    return comparison.Run(version, evaluation, _keyed(results.figures))
