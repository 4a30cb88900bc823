"""What gates are judged by: everything about a version that any of them asks for."""

import datetime
from dataclasses import dataclass

from modelkeep.domain import comparison, evaluations, names, versions
from modelkeep.domain.formats import facts


@dataclass(frozen=True, slots=True)
class Pickles:
    """How many files of a version have this verdict, None if nobody looked, and one of them."""

    verdict: facts.PickleVerdict | None
    file_count: int
    path: str


@dataclass(frozen=True, slots=True)
class Signature:
    """Whether a version has a valid signature by somebody trusted; why, and where it stands."""

    is_trusted: bool
    sentence: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Approver:
    """Who approved, and the roles that they have for the move now."""

    principal: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts at one instant.

    Attributes:
        now: the database's clock.
        version: the version that is to be moved.
        owner: of its model; '' if there is none.
        staged_at: since when it stands in its stage.
        runs: its evaluations that count, with their figures.
        production: the version in production, or None.
        production_runs: the evaluations of that.
        pickles: what was found in its files.
        signature: what became of its signatures; None where no gate asks.
        approvers: who approved.
        transition: the transition that was approved, or None.
    """

    now: datetime.datetime
    version: versions.Version
    owner: str = ""
    staged_at: datetime.datetime | None = None
    runs: tuple[comparison.Run, ...] = ()
    production: names.VersionName | None = None
    production_runs: tuple[comparison.Run, ...] = ()
    pickles: tuple[Pickles, ...] = ()
    signature: Signature | None = None
    approvers: tuple[Approver, ...] = ()
    transition: names.TransitionName | None = None


def find_runs(
    runs: tuple[comparison.Run, ...], dataset: str, revision: str, suite: str
) -> list[comparison.Run]:
    """Those on a dataset, of a revision and by a suite if these are not '', the last first."""
    fitting = [
        run
        for run in runs
        if run.evaluation.dataset.name == dataset
        and revision in {"", run.evaluation.dataset.revision}
        and suite in {"", run.evaluation.suite}
    ]
    return sorted(fitting, key=lambda run: _recency(run.evaluation), reverse=True)


def _recency(evaluation: evaluations.Evaluation) -> tuple[datetime.datetime, datetime.datetime]:
    return evaluation.run_at, evaluation.created_at
