"""Evaluation plans: what a model's versions are judged by."""

import datetime
from dataclasses import dataclass

from modelkeep.domain import checks, errors, evaluations, limits, names, tolerances

_LAST = "/evaluationPlan"


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides, and what must not get worse.

    Attributes:
        metric: the metric that decides.
        direction: which way it gets better.
        dataset: on which dataset.
        revision: which revision of it; '' for that of the baseline's last run.
        slice: of which examples; '' for all.
        suite: by which suite; '' for any.
        guards: what must not get worse than the baseline's by more than this.
    """

    metric: str
    direction: evaluations.Direction
    dataset: str
    revision: str = ""
    slice: str = ""
    suite: str = ""
    guards: tuple[tolerances.Tolerance, ...] = ()

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("metric", self.metric, limits.NAME_CHARS, least=1)
            found.text("slice", self.slice, limits.NAME_CHARS)
            found.text("suite", self.suite, limits.NAME_CHARS)
            tolerances.check_distinct(found, "guards", self.guards)
            self._check_guards(found)

    def _check_guards(self, found: checks.Checks) -> None:
        for n, guard in enumerate(self.guards):
            own = (guard.metric, guard.slice) == (self.metric, self.slice)
            found.require(not own, f"guards[{n}].metric", "is the metric that decides")
            wild = guard.slice == tolerances.ANY_SLICE
            found.require(not wild, f"guards[{n}].slice", "is no slice; write one guard for each")

    @property
    def place(self) -> str:
        """The dataset as it was asked for."""
        return f"{self.dataset}@{self.revision}" if self.revision else self.dataset


@dataclass(frozen=True, slots=True)
class Settled:
    """A model's plan as it stands."""

    model: names.ModelName
    plan: Plan
    actor: str
    updated_at: datetime.datetime
    etag: str


def name_of(model: names.ModelName) -> str:
    """`namespaces/{namespace}/models/{model}/evaluationPlan`."""
    return f"{model}{_LAST}"


def model_of(text: str) -> names.ModelName:
    """The model whose plan has this name, or `errors.InvalidArgument`."""
    if not text.endswith(_LAST):
        shown = checks.shown(text)
        raise errors.invalid(
            f"{shown} does not match namespaces/{{namespace}}/models/{{model}}/evaluationPlan"
        )
    return names.ModelName.parse(text.removesuffix(_LAST))
