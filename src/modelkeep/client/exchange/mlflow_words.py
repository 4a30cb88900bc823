"""MLflow's words in ours: numbers, stages, tags, figures and parameters."""

import math
from collections.abc import Mapping, Sequence

from modelkeep.client import specs
from modelkeep.client.exchange import facts, incoming, mlflow_registry

_STAGES = {
    "None": incoming.DEVELOPMENT,
    "Staging": incoming.STAGING,
    "Production": incoming.PRODUCTION,
    "Archived": incoming.ARCHIVED,
}
_MAX_PARAMETER_CHARS = 4096
_MAX_NAME_CHARS = 256
_MAX_DESCRIPTION_CHARS = 4096
_MAX_REVISION_CHARS = 128
_MAX_URI_CHARS = 2048
_INT64 = 2**63
_TAGS = 40
"""How many tags become labels: the others of the 64 are for facts."""


def semver(number: int) -> str:
    """The version of an MLflow number: `3` is `3.0.0`."""
    return f"{number}.0.0"


def stages(versions: Sequence[mlflow_registry.MlflowVersion]) -> dict[int, str]:
    """Where each version shall stand: of those in Production only the newest stays there."""
    newest = max((one.number for one in versions if one.stage == "Production"), default=0)
    found = {one.number: _STAGES.get(one.stage, incoming.DEVELOPMENT) for one in versions}
    return {
        number: incoming.ARCHIVED if stage == incoming.PRODUCTION and number != newest else stage
        for number, stage in found.items()
    }


def labels_of(tags: Mapping[str, str], where: str, notes: list[str]) -> dict[str, str]:
    """Tags as labels; a note for each that is not kept as it was."""
    labels: dict[str, str] = {}
    for key, value in sorted(tags.items()):
        label, text = facts.label_key_of(key), facts.cut(value, facts.MAX_LABEL_CHARS)
        if label in labels or len(labels) == _TAGS:
            notes.append(f"{where}: there was no room for the tag {key!r}.")
            continue
        if (label, text) != (key, value):
            notes.append(f"{where}: the tag {key!r} is the label {label}, {_how(value, text)}.")
        labels[label] = text
    return labels


def _how(value: str, text: str) -> str:
    return "whole" if value == text else "cut or without control characters"


def draft(
    version: mlflow_registry.MlflowVersion,
    run: mlflow_registry.MlflowRun | None,
    origin: str,
    notes: list[str],
) -> specs.Draft:
    """All that is said about a version; `origin` is what notes call it."""
    known = run or _NO_RUN
    tags = labels_of(version.tags, origin, notes)
    labels, _ = facts.labelled(
        tags | {"mlflow.version": str(version.number)},
        {
            "from": origin,
            "creator": version.user or known.user,
            "created_at": facts.instant(version.created_at),
            "updated_at": facts.instant(version.updated_at),
            "run": version.run_id,
            "run_started_at": facts.instant(known.started_at),
            "run_ended_at": facts.instant(known.ended_at),
            "stage": version.stage,
        },
    )
    return specs.Draft(
        spec=specs.ModelSpec(parameters=_parameters(known.parameters, origin, notes)),
        metrics=_metrics(known.metrics, origin, notes),
        source=specs.Source(
            repository=facts.cut(known.tags.get("mlflow.source.git.repoURL", ""), _MAX_URI_CHARS),
            commit=facts.cut(known.tags.get("mlflow.source.git.commit", ""), _MAX_REVISION_CHARS),
            run=version.run_id,
        ),
        labels=labels,
        description=described(version.description),
    )


_NO_RUN = mlflow_registry.MlflowRun(
    user="", metrics={}, parameters={}, tags={}, artifact_uri="", started_at=None, ended_at=None
)


def described(text: str) -> str:
    """A description as one may be here."""
    return facts.laid_out(text, _MAX_DESCRIPTION_CHARS)


def _parameters(said: Mapping[str, str], origin: str, notes: list[str]) -> dict[str, specs.Scalar]:
    kept: dict[str, specs.Scalar] = {}
    for name, value in sorted(said.items()):
        if not 0 < len(name) <= _MAX_NAME_CHARS or len(value) > _MAX_PARAMETER_CHARS:
            notes.append(f"{origin}: the parameter {name[:80]!r} is too long and is left out.")
            continue
        kept[name] = typed(value)
    return kept


def typed(text: str) -> specs.Scalar:
    """A parameter's value: a number only if it is written as this number is, else text."""
    try:
        whole = int(text)
    except ValueError:
        whole = None
    if whole is not None and str(whole) == text and -_INT64 <= whole < _INT64:
        return whole
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and repr(number) == text else text


def _metrics(said: Mapping[str, float], origin: str, notes: list[str]) -> dict[str, float]:
    kept: dict[str, float] = {}
    for name, value in sorted(said.items()):
        if not math.isfinite(value) or not 0 < len(name) <= _MAX_NAME_CHARS:
            notes.append(f"{origin}: the metric {name[:80]!r} is {value} and is left out.")
            continue
        kept[name] = value
    return kept
