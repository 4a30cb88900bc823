"""Crossings of the requests of EvaluationService."""

from collections.abc import Sequence
from functools import partial

from modelkeep.domain import (
    checks,
    comparison,
    errors,
    evaluations,
    limits,
    names,
    pages,
    refs,
    scores,
)
from modelkeep.service import changes
from modelkeep.transport import convert, convert_evaluations, page_tokens
from modelkeep.v1 import evaluation_service_pb2 as pb


def record(
    request: pb.RecordEvaluationRequest,
) -> tuple[changes.Once, names.VersionName, evaluations.Report, evaluations.Terms]:
    """Arguments of `Evaluations.record`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "RecordEvaluation", request))
        parent = found.make("parent", partial(names.VersionName.parse, request.parent))
        supersedes = found.make("supersedes", partial(_superseded, request.supersedes, parent))
        some = bool(request.evaluation.metrics or request.score_sets)
        found.require(some, "evaluation.metrics", "must not be empty, unless there are score_sets")
        summed = found.make("score_sets", partial(figures, request.score_sets))
        report = found.make(
            "evaluation",
            partial(convert_evaluations.report_from_wire, request.evaluation, summed or ()),
        )
    return once, parent, report, evaluations.Terms(supersedes, request.unless_recorded)


def figures(score_sets: Sequence[pb.ScoreSet]) -> tuple[evaluations.Scored, ...]:
    """What the scores sum up to; nothing is summed up unless all are well-formed."""
    found = checks.Checks()
    found.size("", score_sets, limits.EVALUATION_METRICS)
    sets = found.make_each(
        "",
        (
            partial(convert_evaluations.score_set_from_wire, one)
            for one in score_sets[: limits.EVALUATION_METRICS]
        ),
    )
    with found:
        pass
    return scores.summarised(sets)


def _superseded(text: str, parent: names.VersionName | None) -> names.EvaluationName | None:
    if not text:
        return None
    name = names.EvaluationName.parse(text)
    if parent is not None and name.version != parent:
        raise errors.invalid("is of another version; a correction stays with its version")
    return name


def listing(
    tokens: page_tokens.PageTokens, request: pb.ListEvaluationsRequest
) -> tuple[names.VersionName, evaluations.Filter, pages.PageRequest]:
    """Arguments of `Evaluations.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.VersionName.parse, request.parent))
        wanted = found.make("", partial(_filter, request))
        page = found.make("", partial(tokens.read, request))
    return parent, wanted, page


def _filter(request: pb.ListEvaluationsRequest) -> evaluations.Filter:
    name, revision = "", ""
    if request.dataset:
        with checks.Checks() as found, found.at("dataset"):
            name, revision = evaluations.dataset_of(request.dataset)
    return evaluations.Filter(name, revision, request.suite, request.show_superseded)


def compare(request: pb.CompareVersionsRequest) -> comparison.Question:
    """Argument of `Comparing.compare`."""
    found = checks.Checks()
    found.size("refs", request.refs, limits.COMPARED_VERSIONS, least=1)
    versions = found.make_each("refs", (partial(refs.parse, ref) for ref in request.refs[:99]))
    baseline = None
    if request.baseline_ref:
        baseline = found.make("baseline_ref", partial(refs.parse, request.baseline_ref))
    dataset = found.make("dataset", partial(evaluations.dataset_of, request.dataset))
    with found:
        pass
    name, revision = dataset
    level = request.significance or comparison.SIGNIFICANCE
    return comparison.Question(versions, name, revision, request.suite, baseline, level)
