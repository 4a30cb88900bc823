"""Models: named lines of versions."""

import datetime
import enum
from dataclasses import dataclass, field

from modelkeep.domain import checks, errors, limits, names, risks, specs


class ModelKind(enum.StrEnum):
    """What a model is."""

    MODEL = "model"
    ADAPTER = "adapter"
    PIPELINE = "pipeline"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class ModelFields:
    """What a caller may say about a model and change later.

    Attributes:
        owner: who answers for it.
        description: what it is for.
        labels: key and value pairs.
        risk_tier: how much harm it can do if it is wrong.
        revalidation_days: days between evaluations of versions that people rely on; 0 for those of
            the tier.
    """

    owner: str = ""
    description: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    risk_tier: risks.RiskTier = risks.RiskTier.UNCLASSIFIED
    revalidation_days: int = 0

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("owner", self.owner, limits.OWNER_CHARS)
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)
            found.labels("labels", self.labels)
            most = limits.REVALIDATION_DAYS
            found.number("revalidation_days", self.revalidation_days, 0, most)

    @property
    def classifies(self) -> bool:
        """Whether it says anything about risk."""
        return self.risk_tier is not risks.RiskTier.UNCLASSIFIED or self.revalidation_days != 0


RISK_FIELDS = frozenset({"risk_tier", "revalidation_days"})
"""What not everybody may change who may change the others: less risk means less scrutiny."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it stands."""

    name: names.ModelName
    kind: ModelKind
    fields: ModelFields
    creator: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    deleted_at: datetime.datetime | None
    last_ordinal: int
    etag: str


def require_spec_fits(name: names.ModelName, kind: ModelKind, spec: specs.Spec | None) -> None:
    """Raise `errors.FailedPrecondition` unless versions of this kind have this kind of spec."""
    wanted = specs.PromptSpec if kind is ModelKind.PROMPT else specs.ModelSpec
    if isinstance(spec, wanted) or (spec is None and kind is not ModelKind.PROMPT):
        return
    raise errors.FailedPrecondition(
        f"{name} is of kind {kind}: its versions need a "
        f"{'prompt' if kind is ModelKind.PROMPT else 'model'} spec",
        reason="SPEC_DOES_NOT_FIT_KIND",
        kind=kind,
    )
