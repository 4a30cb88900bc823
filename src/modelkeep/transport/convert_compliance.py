"""Crossings of compliance reports."""

import datetime
from functools import partial

from google.protobuf import timestamp_pb2

from modelkeep.domain import checks, compliance, names, pages
from modelkeep.transport import convert, convert_registry, page_tokens
from modelkeep.v1 import compliance_pb2 as pb

_F = compliance.Finding
_FINDINGS: dict[compliance.Finding, pb.ComplianceFinding.ValueType] = {
    _F.OVERDUE: pb.COMPLIANCE_FINDING_OVERDUE,
    _F.NEVER_EVALUATED: pb.COMPLIANCE_FINDING_NEVER_EVALUATED,
    _F.NO_OWNER: pb.COMPLIANCE_FINDING_NO_OWNER,
    _F.NO_RISK_TIER: pb.COMPLIANCE_FINDING_NO_RISK_TIER,
    _F.NO_CARD: pb.COMPLIANCE_FINDING_NO_CARD,
    _F.NO_APPROVAL: pb.COMPLIANCE_FINDING_NO_APPROVAL,
    _F.NO_LINEAGE: pb.COMPLIANCE_FINDING_NO_LINEAGE,
    _F.NO_DATASETS: pb.COMPLIANCE_FINDING_NO_DATASETS,
    _F.NO_SIGNATURE: pb.COMPLIANCE_FINDING_NO_SIGNATURE,
}


def question_from_wire(
    tokens: page_tokens.PageTokens, request: pb.GetComplianceReportRequest
) -> tuple[compliance.Question, pages.PageRequest]:
    """Arguments of `Compliance.report`."""
    with checks.Checks() as found:
        namespace, as_of = None, None
        if request.parent != compliance.ALL:
            namespace = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        if request.HasField("as_of"):
            as_of = found.make("as_of", partial(convert.timestamp_from_wire, request.as_of))
        question = found.make(
            "",
            lambda: compliance.Question(
                namespace,
                as_of,
                request.stage,
                request.revalidation_days,
                request.per_week,
                request.show_compliant,
            ),
        )
        page = found.make("", partial(tokens.read, request))
    return question, page


def report_to_wire(report: compliance.Report) -> pb.GetComplianceReportResponse:
    """A report for the wire, without its entries."""
    return pb.GetComplianceReportResponse(
        as_of=convert.timestamp_to_wire(report.as_of),
        version_count=report.totals.versions,
        finding_count=report.totals.found,
        overdue_count=report.totals.overdue,
        never_evaluated_count=report.totals.never_evaluated,
    )


def entry_to_wire(entry: compliance.Entry) -> pb.ComplianceEntry:
    """A version of a report for the wire."""
    tier = convert.enum_to_wire(entry.tier, convert_registry.RISK_TIERS)
    return pb.ComplianceEntry(
        rank=entry.rank,
        version=str(entry.version),
        stage=entry.stage,
        owner=entry.owner,
        risk_tier=tier,  # type: ignore[arg-type]
        exposure=entry.exposure,
        evaluation_time=convert.timestamp_to_wire(entry.evaluated_at),
        revalidation_days=entry.revalidation_days,
        due_time=convert.timestamp_to_wire(entry.due_at),
        days_overdue=entry.days_overdue,
        score=entry.score,
        findings=[_FINDINGS[one] for one in entry.findings],
        planned_time=_midnight(entry.planned_on),
    )


def _midnight(day: datetime.date | None) -> timestamp_pb2.Timestamp | None:
    if day is None:
        return None
    instant = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return convert.timestamp_to_wire(instant)
