"""Evaluations brought to another registry: each once, corrections as corrections, and compared."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from modelkeep.client import errors, evaluation_records
from modelkeep.client.exchange import incoming, measured, reports

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_REFUSED = (errors.Refused, errors.InvalidRequest, errors.LimitReached, errors.NotFound)
_CORRECTED = "EVALUATION_SUPERSEDED"
_By = dict[str, evaluation_records.Evaluation]


class Recording:
    """Records evaluations of the versions of one model; `notes` tells what was not taken.

    Nothing of an evaluation ever changes, so what is there is left as it is.
    """

    def __init__(self, registry: "Registry", model: str) -> None:
        self._registry = registry
        self._model = model
        self._barred: set[str] = set()
        self._places: dict[str, int] = {}
        self.notes: list[str] = []

    async def record(self, evaluations: Sequence[incoming.IncomingEvaluation]) -> None:
        """Record those that are missing, in the order given."""
        found = await self._found(evaluations)
        for one in evaluations:
            if one.said.name not in found:
                await self._record_one(one, found)

    async def count_missing(self, evaluations: Sequence[incoming.IncomingEvaluation]) -> int:
        """How many would be recorded."""
        return len(evaluations) - len(await self._found(evaluations))

    async def _found(self, evaluations: Sequence[incoming.IncomingEvaluation]) -> _By:
        """What is there already, by the name it has at the source."""
        found: _By = {}
        for version, wanted in _by_version(evaluations).items():
            present = await self._present(version)
            found |= measured.matched([one.said for one in wanted], present)
            self._places.update((one.name, place) for place, one in enumerate(present))
        return found

    async def _present(self, version: str) -> tuple[evaluation_records.Evaluation, ...]:
        try:
            return await measured.of_version(self._registry, f"{self._model}@{version}")
        except errors.NotFound:
            return ()

    async def _record_one(self, one: incoming.IncomingEvaluation, found: _By) -> None:
        said = one.said
        if said.supersedes in self._barred:
            self._bar(one, "what it corrects was corrected otherwise here")
            return
        old = found.get(said.supersedes)
        try:
            found[said.name] = await self._call(one, old.name if old else "")
        except _REFUSED as refused:
            if refused.reason == _CORRECTED:
                self._barred.add(said.name)
            self._note(one, refused.message)

    def _bar(self, one: incoming.IncomingEvaluation, why: str) -> None:
        """Leave out what would count beside a correction that somebody made here."""
        self._barred.add(one.said.name)
        self._note(one, why)

    def _note(self, one: incoming.IncomingEvaluation, why: str) -> None:
        self.notes.append(f"The evaluation {one.said.ref} was not recorded: {why.rstrip('.')}.")

    async def _call(
        self, one: incoming.IncomingEvaluation, supersedes: str
    ) -> evaluation_records.Evaluation:
        ref = f"{self._model}@{one.version}"
        report = evaluation_records.EvaluationReport(
            dataset=one.said.dataset,
            suite=one.said.suite,
            evaluator=one.said.evaluator,
            metrics=one.said.metrics,
            run_at=one.said.run_at,
            note=one.note,
        )
        # Whoever imports the same at once records it once; its note says which one it was first.
        return await self._registry.record_evaluation(
            ref, report, supersedes=supersedes, unless_recorded=True
        )

    async def compare(
        self,
        evaluations: Sequence[incoming.IncomingEvaluation],
        there: Collection[str],
        tally: reports.Tally,
    ) -> None:
        """Read back the evaluations of versions that are there; count and compare."""
        found = await self._found([one for one in evaluations if one.version in there])
        names = {present.name: name for name, present in found.items()}
        for one in evaluations:
            present = found.get(one.said.name)
            is_equal = self._compare_one(one, present, names, tally)
            tally.count("evaluations", 1, int(is_equal))
            tally.count("figures", one.said.metric_count, present.metric_count if present else 0)
        corrected = [one.said for one in evaluations if one.said.superseded_by]
        if corrected:
            kept = [one for one in corrected if one.name in found]
            still = sum(bool(found[one.name].superseded_by) for one in kept)
            tally.count("superseded", len(corrected), still)
        self._compare_order(evaluations, found, tally)
        self._compare_scores(evaluations, found)

    def _compare_order(
        self,
        evaluations: Sequence[incoming.IncomingEvaluation],
        found: _By,
        tally: reports.Tally,
    ) -> None:
        for version, wanted in _by_version(evaluations).items():
            kept = [one.said for one in wanted if one.said.name in found]
            here = sorted(kept, key=lambda one: self._places[found[one.name].name])
            tally.compare(
                f"{self._model}@{version}", "order of evaluations", _keys(kept), _keys(here)
            )

    def _compare_one(
        self,
        one: incoming.IncomingEvaluation,
        present: evaluation_records.Evaluation | None,
        names: dict[str, str],
        tally: reports.Tally,
    ) -> bool:
        """Whether it is there, and corrects and is corrected by the same."""
        where = f"{self._model}@{one.version}"
        what = f"evaluation {one.said.ref.rpartition('/')[2]}"
        if present is None:
            return tally.compare(where, what, _shown(one.said), None)
        same = True
        for field in ("supersedes", "superseded_by"):
            there, here = getattr(one.said, field), getattr(present, field)
            here = names.get(here, evaluation_records.shortened(here))
            same &= tally.compare(where, f"{what} {field}", there, here)
        return same

    def _compare_scores(
        self, evaluations: Sequence[incoming.IncomingEvaluation], found: _By
    ) -> None:
        kept = [one.said for one in evaluations if one.said.name in found]
        missing = measured.scored(kept) - measured.scored(found.values())
        if missing > 0:
            self.notes.append(
                f"The scores of single examples behind {missing} metrics are not here: no registry"
                " gives them out. Their figures are, and are compared by tests that need no scores."
            )


def _by_version(
    evaluations: Sequence[incoming.IncomingEvaluation],
) -> dict[str, list[incoming.IncomingEvaluation]]:
    groups: defaultdict[str, list[incoming.IncomingEvaluation]] = defaultdict(list)
    for one in evaluations:
        groups[one.version].append(one)
    return groups


def _keys(evaluations: Sequence[evaluation_records.Evaluation]) -> str:
    return " ".join(one.name.rpartition("/")[2] for one in evaluations)


def _shown(said: evaluation_records.Evaluation) -> str:
    return f"{said.suite} on {said.dataset}, {said.metric_count} figures, run {said.run_at}"
