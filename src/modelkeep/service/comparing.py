"""Use case of comparing: how versions fared against another, by the evaluations there are."""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import comparison, evaluations, matching, names, refs
from modelkeep.service import following
from modelkeep.storage import database, resolving
from modelkeep.storage import evaluations as rows
from modelkeep.storage import versions as version_rows


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What there is to compare by, of each version: evaluations, and the figures of those used."""

    evaluations: dict[names.VersionName, list[evaluations.Evaluation]]
    ids: dict[names.EvaluationName, int]


@dataclass(frozen=True, slots=True)
class _Match:
    """By one suite: the baseline's evaluation and those that compare with it."""

    suite: str
    baseline: evaluations.Evaluation
    others: list[evaluations.Evaluation]


class Comparing:
    """Compares; it changes nothing."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def compare(
        self, caller: callers.Caller, question: comparison.Question
    ) -> comparison.Comparison:
        """How versions fared against the baseline; raises `errors.NotFound` (no such version)."""
        for ref in question.asked:
            policy.require(caller, policy.Action.READ_EVALUATION, ref.model)
        async with self._db.connection() as connection:
            versions = await resolved(connection, caller, question.asked)
            evidence = await _evidence(connection, versions, question)
            matches, unmatched = _matched(versions, evidence, question)
            runs = await _runs(connection, evidence, matches)
        # Thousands of figures, some of them with scores: not on the loop that serves others.
        lines, slices_tested = await asyncio.to_thread(
            _compared, versions, matches, runs, question.significance
        )
        return comparison.Comparison(
            baseline=versions[0],
            versions=tuple(versions[1:]),
            dataset=f"{question.dataset}@{question.revision}".rstrip("@"),
            significance=question.significance,
            runs=tuple(run.evaluation for run in runs.values()),
            lines=tuple(lines),
            unmatched=tuple(unmatched),
            slices_tested=slices_tested,
        )


async def resolved(
    connection: database.Connection, caller: callers.Caller, asked: Sequence[refs.Ref]
) -> list[names.VersionName]:
    """The versions that are meant, each once, by the names that their models have today."""
    read = policy.Action.READ_EVALUATION
    moved = await following.find(connection, caller, read, {ref.model for ref in asked})
    today = [dataclasses.replace(ref, model=moved.get(ref.model, ref.model)) for ref in asked]
    found = [(await resolving.resolve(connection, ref, None)).name for ref in today]
    return list(dict.fromkeys(found))


async def _evidence(
    connection: database.Connection,
    versions: Sequence[names.VersionName],
    question: comparison.Question,
) -> _Evidence:
    ids = [(await version_rows.get(connection, version)).version_id for version in versions]
    found = await rows.list_current(connection, ids, question.dataset)
    evidence = _Evidence({version: [] for version in versions}, {})
    for stored in found:
        evidence.evaluations[stored.evaluation.name.version].append(stored.evaluation)
        evidence.ids[stored.evaluation.name] = stored.evaluation_id
    return evidence


def _matched(
    versions: Sequence[names.VersionName], evidence: _Evidence, question: comparison.Question
) -> tuple[list[_Match], list[comparison.Unmatched]]:
    own = evidence.evaluations[versions[0]]
    matches, unmatched = [], []
    for suite in matching.suites_of(own, question.suite):
        baseline = matching.baseline_of(own, suite, question.revision)
        if baseline is None:
            continue
        matches.append(_Match(suite, baseline, []))
        for version in versions[1:]:
            other, reason = matching.match(evidence.evaluations[version], baseline)
            if other is None:
                unmatched.append(comparison.Unmatched(version, suite, reason))
            else:
                matches[-1].others.append(other)
    if not matches:
        reason = matching.nothing_found(own, question.dataset, question.revision, question.suite)
        unmatched.append(comparison.Unmatched(versions[0], question.suite, reason))
    return matches, unmatched


async def _runs(
    connection: database.Connection, evidence: _Evidence, matches: Sequence[_Match]
) -> dict[names.EvaluationName, comparison.Run]:
    used = [one for match in matches for one in (match.baseline, *match.others)]
    figures = await rows.list_figures(connection, [evidence.ids[one.name] for one in used])
    return {
        one.name: comparison.Run(
            one.name.version,
            one,
            {(f.metric.name, f.metric.slice): f for f in figures[evidence.ids[one.name]]},
        )
        for one in used
    }


def _compared(
    versions: Sequence[names.VersionName],
    matches: Sequence[_Match],
    runs: dict[names.EvaluationName, comparison.Run],
    level: float,
) -> tuple[list[comparison.Line], int]:
    lines: list[comparison.Line] = []
    most = 0
    for match in matches:
        others = [runs[one.name] for one in match.others]
        others.sort(key=lambda run: versions.index(run.version))
        made, tested = comparison.compare_suite(
            match.suite, runs[match.baseline.name], others, level
        )
        lines += made
        most = max(most, tested)
    return lines, most
