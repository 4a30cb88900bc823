"""Risk tiers of models: how much harm one can do if it is wrong, and what follows from that."""

import enum


class RiskTier(enum.StrEnum):
    """How much harm a model can do if it is wrong."""

    UNCLASSIFIED = "unclassified"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


STATED = (RiskTier.LOW, RiskTier.MEDIUM, RiskTier.HIGH, RiskTier.CRITICAL)
"""The tiers that somebody can have stated."""

REVALIDATION_DAYS: dict[RiskTier, int] = {
    RiskTier.UNCLASSIFIED: 180,
    RiskTier.LOW: 365,
    RiskTier.MEDIUM: 180,
    RiskTier.HIGH: 90,
    RiskTier.CRITICAL: 30,
}
"""Days within which a version that people rely on is evaluated again, unless the model says so."""

WEIGHTS: dict[RiskTier, int] = {
    RiskTier.UNCLASSIFIED: 2,
    RiskTier.LOW: 1,
    RiskTier.MEDIUM: 2,
    RiskTier.HIGH: 4,
    RiskTier.CRITICAL: 8,
}
"""By how much a day overdue counts; what nobody has classified counts as medium."""
