"""The stages of a version's life, and the moves between them."""

from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits

DEVELOPMENT = "development"
STAGING = "staging"
PRODUCTION = "production"
ARCHIVED = "archived"

STAGES = (DEVELOPMENT, STAGING, PRODUCTION, ARCHIVED)

MOVES = {
    DEVELOPMENT: frozenset({STAGING, ARCHIVED}),
    STAGING: frozenset({PRODUCTION, DEVELOPMENT, ARCHIVED}),
    PRODUCTION: frozenset({STAGING, ARCHIVED}),
    ARCHIVED: frozenset({DEVELOPMENT, STAGING}),
}

SERVING = frozenset({STAGING, PRODUCTION})
"""Stages in which somebody relies on the version: it cannot be deleted there."""


@dataclass(frozen=True, slots=True)
class StageMove:
    """Where a version shall stand, and why."""

    stage: str
    reason: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.require(
                self.stage in STAGES,
                "stage",
                f"{checks.shown(self.stage)} is not a stage; there are {', '.join(STAGES)}",
            )
            found.text("reason", self.reason, limits.REASON_CHARS, least=1, layout=True)


def require_move(version: object, origin: str, target: str) -> None:
    """Raise `errors.FailedPrecondition` unless the move exists."""
    if target in MOVES[origin]:
        return
    possible = ", ".join(stage for stage in STAGES if stage in MOVES[origin])
    raise errors.FailedPrecondition(
        f"{version} is in {origin} and cannot move to {target}; it can move to {possible}",
        reason="STAGE_MOVE_NOT_ALLOWED",
        origin=origin,
        target=target,
    )
