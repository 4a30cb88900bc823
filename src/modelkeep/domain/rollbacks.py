"""Going back: what is asked for, what came of it, and which stage a version goes back to."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import checks, deployments, errors, limits, names, semver, stages, versions


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be rolled back.

    Attributes:
        model: of which model.
        environment: where.
        reason: why.
        target: which version to go back to; '' for the last known good.
        deployment: what is taken back; None for what runs.
        bypass_gates: whether to go back even if gates fail.
    """

    model: names.ModelName
    environment: names.EnvironmentName
    reason: str
    target: str = ""
    deployment: names.DeploymentName | None = None
    bypass_gates: bool = False

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("reason", self.reason, limits.REASON_CHARS, least=1, layout=True)
            if self.target:
                with found.at("target_version"):
                    semver.parse(self.target)
            own = self.deployment is None or self.deployment.parent == self.model
            found.require(own, "deployment", "is of another model")


@dataclass(frozen=True, slots=True)
class StageChange:
    """That a version left a stage for another."""

    version: names.VersionName
    origin: str
    target: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a rollback.

    Attributes:
        deployment: what runs now.
        rolled_back: what was taken back.
        moves: which versions changed their stage.
        bypassed: what the gates that failed say; empty unless they were bypassed.
    """

    deployment: deployments.Deployment
    rolled_back: deployments.Deployment
    moves: tuple[StageChange, ...] = ()
    bypassed: tuple[str, ...] = ()


def require_one(
    running: Sequence[deployments.Deployment], environment: names.EnvironmentName
) -> None:
    """Raise `errors.FailedPrecondition` if it cannot be told which one is meant."""
    if len(running) > 1:
        shown = ", ".join(f"{one.name} ({one.version.version})" for one in running[:5])
        raise errors.FailedPrecondition(
            f"{len(running)} deployments run in {environment}: name the one to take back, "
            f"of {shown}",
            reason="SEVERAL_RUNNING",
        )


def stage_to_return_to(
    version: versions.Version, last: deployments.Deployment, environment: deployments.Environment
) -> str:
    """Where a version must stand to run there again: where it stands, or where it stood then.

    A rollback takes no version to a stage that it did not have when it ran there; raises
    `errors.FailedPrecondition` if that would be needed.
    """
    taken = environment.fields.stages
    for stage in (version.stage, last.stage):
        if stage in taken:
            return stage
    raise errors.FailedPrecondition(
        f"{version.name} is in {version.stage} and ran there from {last.stage}; "
        f"{environment.name} takes {' and '.join(taken) or 'nothing'} now",
        reason="STAGE_NOT_TAKEN",
        stage=version.stage,
        stages=",".join(taken),
    )


def move_of(stage: str, environment: names.EnvironmentName, reason: str) -> stages.StageMove:
    """A move that a rollback makes."""
    why = f"rollback in {environment.environment}: {reason}"
    return stages.StageMove(stage, why[: limits.REASON_CHARS])


def nothing_good(
    environment: names.EnvironmentName, bad: deployments.Deployment
) -> errors.FailedPrecondition:
    """That there is nothing to go back to."""
    return errors.FailedPrecondition(
        f"nothing good remains in {environment} to go back to from {bad.version.version}: no other "
        "version ran there that is ready and whose last deployment did not end as failed or "
        "rolled back; deploy a version that is good, or name one with target_version",
        reason="NO_GOOD_VERSION",
        deployment=bad.name,
    )
