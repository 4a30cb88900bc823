"""Compliance reports, as the SDK shows them."""

import enum
from dataclasses import dataclass
from datetime import date, datetime


class RiskTier(enum.StrEnum):
    """How much harm a model can do if it is wrong; UNSPECIFIED if nobody has said."""

    UNSPECIFIED = "unspecified"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ComplianceFinding(enum.StrEnum):
    """What is missing of a version that people rely on."""

    UNSPECIFIED = "unspecified"
    OVERDUE = "overdue"
    NEVER_EVALUATED = "never_evaluated"
    NO_OWNER = "no_owner"
    NO_RISK_TIER = "no_risk_tier"
    NO_CARD = "no_card"
    NO_APPROVAL = "no_approval"
    NO_LINEAGE = "no_lineage"
    NO_DATASETS = "no_datasets"
    NO_SIGNATURE = "no_signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceEntry:
    """A version that people rely on, and what is missing of it.

    Attributes:
        rank: its place in the report: higher risk first.
        version: `acme/voice@1.2.0`.
        stage: where it stood.
        owner: who answers for the model.
        risk_tier: the model's; UNSPECIFIED counts as MEDIUM.
        exposure: in how many environments it was deployed; production counts as one.
        evaluated_at: when it was last evaluated, or None.
        revalidation_days: days between evaluations.
        due_at: when the next is due; of what never was evaluated, when it was sealed.
        days_overdue: days begun since then, or 0.
        score: weight of the tier x exposure x days overdue.
        findings: what is missing.
        planned_on: Monday of the week in which the plan has it evaluated, or None.
    """

    rank: int
    version: str
    stage: str
    owner: str
    risk_tier: RiskTier
    exposure: int
    evaluated_at: datetime | None
    revalidation_days: int
    due_at: datetime | None
    days_overdue: int
    score: int
    findings: tuple[ComplianceFinding, ...]
    planned_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceReport:
    """What is missing of versions that people rely on, as of an instant.

    Attributes:
        scope: the namespace, or `-` for all.
        as_of: as of when it is.
        versions: how many versions were looked at.
        with_findings: of how many of them something is missing.
        overdue: how many are overdue, those that were never evaluated included.
        never_evaluated: how many were never evaluated.
        entries: the versions, in the order of their ranks.
        truncated: whether there are more than were asked for.
    """

    scope: str
    as_of: datetime
    versions: int
    with_findings: int
    overdue: int
    never_evaluated: int
    entries: tuple[ComplianceEntry, ...]
    truncated: bool
