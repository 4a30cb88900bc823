"""Calls about evaluations: record, read, compare."""

from collections.abc import AsyncIterator, Sequence

from modelkeep.client import (
    calls,
    comparison_records,
    connection,
    errors,
    evaluation_convert,
    evaluation_records,
    refs,
)
from modelkeep.v1 import evaluation_service_pb2 as pb

_COMPARE_TIMEOUT_S = 120.0
"""Thousands of figures, some of them with the scores of all their examples."""


class EvaluationCalls(connection.Connection):
    """Record what was measured of versions, and compare them by it."""

    async def record_evaluation(
        self,
        version: str,
        report: evaluation_records.EvaluationReport,
        *,
        supersedes: str = "",
        unless_recorded: bool = False,
        request_id: str = "",
    ) -> evaluation_records.Evaluation:
        """Record what was measured of a sealed version; it never changes.

        Args:
            version: `acme/voice@1.2.0`.
            report: what came out.
            supersedes: the evaluation that this one corrects: `acme/voice@1.2.0/0123456789abcdef`.
            unless_recorded: answer the evaluation that says all the same, note included, whoever
                recorded it, if there is one.
            request_id: under which the same is recorded once however often it is sent; one of its
                own if empty.

        Raises:
            InvalidRequest: a figure is malformed, or gets better the other way elsewhere.
            Refused: the version is not sealed, or the evaluation is superseded already.
        """
        request = pb.RecordEvaluationRequest(
            parent=refs.parse_version(version).version_name,
            evaluation=evaluation_convert.report_to_wire(report),
            score_sets=map(evaluation_convert.score_set_to_wire, report.score_sets),
            supersedes=evaluation_records.full_name(supersedes) if supersedes else "",
            unless_recorded=unless_recorded,
            request_id=request_id or calls.new_request_id(),
        )
        response = await self._call(self._evaluations.RecordEvaluation, request)
        return evaluation_convert.evaluation_from_wire(response.evaluation)

    async def get_evaluation(self, evaluation: str) -> evaluation_records.Evaluation:
        """An evaluation with all metrics: `acme/voice@1.2.0/0123456789abcdef`."""
        request = pb.GetEvaluationRequest(name=evaluation_records.full_name(evaluation))
        response = await self._call(self._evaluations.GetEvaluation, request)
        return evaluation_convert.evaluation_from_wire(response.evaluation)

    def list_evaluations(
        self, version: str, *, dataset: str = "", suite: str = "", show_superseded: bool = False
    ) -> AsyncIterator[evaluation_records.Evaluation]:
        """A version's evaluations without the metrics of slices, the last recorded first."""
        parent = refs.parse_version(version).version_name

        async def fetch(token: str) -> tuple[list[evaluation_records.Evaluation], str]:
            request = pb.ListEvaluationsRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                dataset=dataset,
                suite=suite,
                show_superseded=show_superseded,
            )
            page = await self._call(self._evaluations.ListEvaluations, request)
            entries = map(evaluation_convert.evaluation_from_wire, page.evaluations)
            return list(entries), page.next_page_token

        return connection.pages(fetch)

    async def compare_versions(
        self,
        versions: Sequence[str],
        dataset: str,
        *,
        suite: str = "",
        baseline: str = "",
        significance: float = 0.0,
    ) -> comparison_records.Comparison:
        """Tell of each figure whether versions are better or worse than a baseline.

        Args:
            versions: `acme/voice@1.2.0`; those that begin with `@` are of the first one's model.
            dataset: `name@revision`, or `name` for the revision of the baseline's last run.
            suite: which suite; all that the baseline has if empty.
            baseline: what to compare with; the first of the versions if empty.
            significance: below which p-value a difference counts as real; 0.05 if 0.

        Raises:
            NotFound: a version is not there.
            InvalidRequest: a reference or the dataset is malformed.
        """
        named = _named([*versions, *([baseline] if baseline else [])])
        request = pb.CompareVersionsRequest(
            refs=named[: len(versions)],
            baseline_ref=named[-1] if baseline else "",
            dataset=dataset,
            suite=suite,
            significance=significance,
        )
        response = await self._call(
            self._evaluations.CompareVersions, request, timeout_s=_COMPARE_TIMEOUT_S
        )
        return evaluation_convert.comparison_from_wire(response.comparison)


def _named(texts: Sequence[str]) -> list[str]:
    """The references, those that begin with `@` completed by the model of the first."""
    if not texts or texts[0].startswith("@"):
        raise errors.BadReference(
            "The first version must name its model, for example acme/voice@1.2.0.",
            reason="BAD_REFERENCE",
        )
    first = refs.parse_selection(texts[0])
    model = f"{first.namespace}/{first.model}"
    whole = [f"{model}{text}" if text.startswith("@") else text for text in texts]
    return [str(refs.parse_selection(text)) for text in whole]
