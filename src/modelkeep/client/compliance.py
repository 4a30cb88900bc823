"""The call for compliance reports, and its crossings."""

from datetime import datetime

from modelkeep.client import (
    answers,
    audit_calls,
    compliance_records,
    connection,
    convert,
    evaluation_convert,
    refs,
)
from modelkeep.v1 import compliance_pb2 as pb

ALL = "-"
"""Stands for every namespace."""
_PARENT = "namespaces/-"
_REPORT_TIMEOUT_S = 60.0


class ComplianceCalls(audit_calls.AuditCalls):
    """Ask what is missing of versions that people rely on."""

    async def compliance_report(
        self,
        namespace: str = ALL,
        *,
        stage: str = "",
        revalidation_days: int = 0,
        per_week: int = 0,
        as_of: datetime | None = None,
        show_compliant: bool = False,
        limit: int | None = None,
    ) -> compliance_records.ComplianceReport:
        """Versions of which something is missing, the greatest risk first.

        Args:
            namespace: which; `-` for all.
            stage: only versions in `staging` or in `production`; else in both, and the deployed.
            revalidation_days: days between evaluations, instead of what models and tiers say.
            per_week: how many evaluations the plan has in a week; 0 for no plan.
            as_of: an aware instant; now if None.
            show_compliant: versions of which nothing is missing, too.
            limit: at most so many; all if None.
        """
        parent = (
            "namespaces/-" if namespace == ALL else refs.parse_namespace(namespace).namespace_name
        )
        request = pb.GetComplianceReportRequest(
            parent=parent,
            page_size=min(limit or connection.MAX_PAGE_SIZE, connection.MAX_PAGE_SIZE),
            stage=stage,
            revalidation_days=revalidation_days,
            per_week=per_week,
            as_of=convert.instant_to_wire(as_of) if as_of else None,
            show_compliant=show_compliant,
        )
        entries: list[compliance_records.ComplianceEntry] = []
        while True:
            page = await self._call(
                self._audit.GetComplianceReport, request, timeout_s=_REPORT_TIMEOUT_S
            )
            entries += map(_entry, page.entries)
            request.page_token = page.next_page_token
            if not request.page_token or (limit is not None and len(entries) >= limit):
                return _report(namespace, page, entries, limit)


def _report(
    namespace: str,
    page: pb.GetComplianceReportResponse,
    entries: list[compliance_records.ComplianceEntry],
    limit: int | None,
) -> compliance_records.ComplianceReport:
    return compliance_records.ComplianceReport(
        scope=namespace,
        as_of=answers.instant(page.as_of),
        versions=page.version_count,
        with_findings=page.finding_count,
        overdue=page.overdue_count,
        never_evaluated=page.never_evaluated_count,
        entries=tuple(entries[:limit]),
        truncated=bool(page.next_page_token) or len(entries) > len(entries[:limit]),
    )


def _entry(wire: pb.ComplianceEntry) -> compliance_records.ComplianceEntry:
    kind = compliance_records.ComplianceFinding
    planned = convert.instant_from_wire(wire, "planned_time")
    return compliance_records.ComplianceEntry(
        rank=wire.rank,
        version=refs.from_name(wire.version),
        stage=wire.stage,
        owner=wire.owner,
        risk_tier=convert.risk_tier_from_wire(wire.risk_tier),
        exposure=wire.exposure,
        evaluated_at=convert.instant_from_wire(wire, "evaluation_time"),
        revalidation_days=wire.revalidation_days,
        due_at=convert.instant_from_wire(wire, "due_time"),
        days_overdue=wire.days_overdue,
        score=wire.score,
        findings=tuple(
            evaluation_convert.member(kind, pb.ComplianceFinding, one, "COMPLIANCE_FINDING_")
            for one in wire.findings
        ),
        planned_on=planned.date() if planned else None,
    )
