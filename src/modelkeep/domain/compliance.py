"""Compliance: what is missing of versions that people rely on, and when to evaluate them again."""

import datetime
import enum
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits, names, pages, risks, stages

ALL = "namespaces/-"
"""The parent of a report about every namespace."""
_DAY = datetime.timedelta(days=1)
_WEEK = datetime.timedelta(days=7)


class Finding(enum.StrEnum):
    """What is missing."""

    OVERDUE = "overdue"
    NEVER_EVALUATED = "never_evaluated"
    NO_OWNER = "no_owner"
    NO_RISK_TIER = "no_risk_tier"
    NO_CARD = "no_card"
    NO_APPROVAL = "no_approval"
    NO_LINEAGE = "no_lineage"
    NO_DATASETS = "no_datasets"
    NO_SIGNATURE = "no_signature"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        namespace: of which namespace; None for all.
        as_of: as of when evaluations, stages, deployments, approvals and signatures count; None for
            now.
        stage: only versions in this stage; '' for those in staging, in production, or deployed.
        revalidation_days: days between evaluations for all; 0 for what models and tiers say.
        per_week: how many evaluations the plan has in a week; 0 for no plan.
        compliant: whether versions of which nothing is missing are told, too.
    """

    namespace: names.NamespaceName | None
    as_of: datetime.datetime | None = None
    stage: str = ""
    revalidation_days: int = 0
    per_week: int = 0
    compliant: bool = False

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            known = not self.stage or self.stage in stages.SERVING
            there = " and ".join(sorted(stages.SERVING))
            shown = f"is {checks.shown(self.stage)}; people rely on {there}"
            found.require(known, "stage", shown)
            found.number("revalidation_days", self.revalidation_days, 0, limits.REVALIDATION_DAYS)
            found.number("per_week", self.per_week, 0, limits.PLAN_PER_WEEK)


@dataclass(frozen=True, slots=True)
class Subject:
    """A version that people rely on, as far as its risk goes.

    Attributes:
        version: its name.
        tier: the model's risk tier.
        exposure: in how many environments it is deployed; production counts as one.
        due_at: when it is to be evaluated next; of what never was, when it was sealed.
        missing: how many things are missing of it.
    """

    version: names.VersionName
    tier: risks.RiskTier
    exposure: int
    due_at: datetime.datetime
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A version of the report.

    Attributes:
        rank: its place, 1 and up.
        version: its name.
        stage: where it stood.
        owner: who answers for the model.
        tier: the model's risk tier.
        exposure: in how many environments it was deployed; production counts as one.
        evaluated_at: when it was last evaluated, or None.
        revalidation_days: days between evaluations.
        due_at: when the next one is due; of what never was evaluated, when it was sealed.
        days_overdue: days begun since then, or 0.
        score: what it is ranked by first.
        findings: what is missing.
        planned_on: Monday of the week in which the plan has it evaluated, or None.
    """

    rank: int
    version: names.VersionName
    stage: str
    owner: str
    tier: risks.RiskTier
    exposure: int
    evaluated_at: datetime.datetime | None
    revalidation_days: int
    due_at: datetime.datetime
    days_overdue: int
    score: int
    findings: tuple[Finding, ...]
    planned_on: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """How many versions were looked at, and of how many something is missing."""

    versions: int = 0
    found: int = 0
    overdue: int = 0
    never_evaluated: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """A page of a report, as of when it is, and the totals of the whole."""

    page: pages.Page[Entry]
    as_of: datetime.datetime
    totals: Totals


def resumed(after: str) -> tuple[datetime.datetime, str]:
    """As of when the report is that a page of it goes on with, and the key it goes on behind."""
    text, bar, key = after.partition("|")
    if not bar:
        raise errors.invalid("is not a token of this report; start again without it", "page_token")
    return datetime.datetime.fromisoformat(text), key


def key_of(as_of: datetime.datetime, key: str) -> str:
    """What `resumed` reads: the next page is of the same instant, whenever it is asked for."""
    return f"{as_of.isoformat()}|{key}"


def days_overdue(due_at: datetime.datetime, as_of: datetime.datetime) -> int:
    """Days begun since it was due: 0 until then, 1 from the first instant behind it."""
    return max(0, -((due_at - as_of) // _DAY))


def score(tier: risks.RiskTier, exposure: int, overdue_days: int) -> int:
    """Weight of the tier x environments x days overdue."""
    return risks.WEIGHTS[tier] * exposure * overdue_days


def rank_key(subject: Subject, as_of: datetime.datetime) -> tuple[object, ...]:
    """What subjects are ranked by, the least first.

    By score; then what is overdue at all; then weight x exposure, days overdue and how much is
    missing; then by name, so that equal ones are always in the same order.
    """
    days = days_overdue(subject.due_at, as_of)
    name = subject.version
    return (
        -score(subject.tier, subject.exposure, days),
        days == 0,
        -risks.WEIGHTS[subject.tier] * subject.exposure,
        -days,
        -subject.missing,
        name.namespace,
        name.model,
        name.version,
    )


def planned_on(position: int, per_week: int, as_of: datetime.datetime) -> datetime.date:
    """Monday of the week of the overdue version at this position (0 for the first).

    The first week is the one that begins on the day of `as_of` (UTC) or next after it; each has
    `per_week` of them, in the order of their ranks.
    """
    day = as_of.astimezone(datetime.UTC).date()
    monday = day + datetime.timedelta(days=-day.weekday() % 7)
    return monday + _WEEK * (position // per_week)
