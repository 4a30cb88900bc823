"""Environments, and deployments: what ran where, from when to when."""

import datetime
import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from modelkeep.domain import checks, errors, limits, names, semver, stages, versions

CLOCK_SKEW = datetime.timedelta(minutes=5)
"""How far the clock of whoever records may be from ours."""
INSTANT = datetime.timedelta(microseconds=1)
"""The least that lies between two instants of the database."""
DEPLOYABLE = (stages.DEVELOPMENT, stages.STAGING, stages.PRODUCTION)
"""Stages that an environment can take versions from, the most trusted last."""

_EARLIEST = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Outcome(enum.StrEnum):
    """How a deployment ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"


BAD = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})
"""Ends after which nobody wants to go back to the version."""


@dataclass(frozen=True, slots=True)
class EnvironmentFields:
    """What a caller may say about an environment and change later.

    Attributes:
        description: for people.
        labels: key and value pairs.
        stages: from which stages versions may be deployed there.
        allow_several: whether several deployments of one model may run there at once.
    """

    description: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    stages: tuple[str, ...] = ()
    allow_several: bool = False

    def __post_init__(self) -> None:
        known = ", ".join(DEPLOYABLE)
        with checks.Checks() as found:
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)
            found.labels("labels", self.labels)
            for n, stage in enumerate(self.stages[: limits.LABELS]):
                at, shown = f"stages[{n}]", checks.shown(stage)
                found.require(
                    stage in DEPLOYABLE, at, f"{shown} cannot be deployed from; {known} can"
                )
                found.require(stage not in self.stages[:n], at, f"{shown} is there twice")
            found.size("stages", self.stages, len(DEPLOYABLE))


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment as it stands."""

    name: names.EnvironmentName
    fields: EnvironmentFields
    creator: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    etag: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be recorded.

    Attributes:
        version: what runs.
        environment: where.
        target: where exactly, for people.
        labels: key and value pairs.
        reason: why.
        started_at: since when; None for now.
    """

    version: names.VersionName
    environment: names.EnvironmentName
    target: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    started_at: datetime.datetime | None = None

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("target", self.target, limits.URI_CHARS)
            found.labels("labels", self.labels)
            found.text("reason", self.reason, limits.REASON_CHARS, layout=True)
            early = self.started_at is not None and self.started_at < _EARLIEST
            found.require(not early, "start_time", "is before 1970")
            found.require(
                self.environment.namespace == self.version.namespace,
                "environment",
                "is of another namespace than the version",
            )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a deployment ends, why, and when; None for now."""

    outcome: Outcome
    reason: str
    ended_at: datetime.datetime | None = None

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("reason", self.reason, limits.REASON_CHARS, least=1, layout=True)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as it stands; once it has ended, nothing of it changes.

    Attributes:
        name: its name.
        version: what ran.
        environment: where.
        outcome: how it ended; None while it runs.
        target: where exactly.
        labels: key and value pairs.
        deployer: who recorded it.
        started_at: when it began.
        ended_at: when it ended; None while it runs.
        ended_by: who recorded that, or ''.
        end_reason: why it ended, or ''.
        stage: where the version stood when this was recorded.
        reason: why it was begun.
        rollback_of: the one it took the place of in a rollback, or None.
        created_at: when it was recorded.
    """

    name: names.DeploymentName
    version: names.VersionName
    environment: names.EnvironmentName
    outcome: Outcome | None
    target: str
    labels: dict[str, str]
    deployer: str
    started_at: datetime.datetime
    ended_at: datetime.datetime | None
    ended_by: str
    end_reason: str
    stage: str
    reason: str
    rollback_of: names.DeploymentName | None
    created_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deployments are wanted: those that fit every part that is not empty."""

    environment: str = ""
    version: str = ""
    running: bool = False
    outcome: Outcome | None = None
    deployer: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            if self.environment:
                found.id("environment", self.environment)
            if self.version:
                with found.at("version"):
                    semver.parse(self.version)
            found.text("deployer", self.deployer, limits.OWNER_CHARS)
            fits = not self.running or self.outcome is None
            found.require(fits, "outcome", "goes without running: what runs has none")


def require_taken(version: versions.Version, environment: Environment) -> None:
    """Raise `errors.FailedPrecondition` unless the version may be deployed there."""
    versions.require_state(version, versions.VersionState.READY, "deployed")
    taken = environment.fields.stages
    if version.stage in taken:
        return
    wanted = f"takes versions in {' or '.join(taken)} only" if taken else "takes nothing any more"
    raise errors.FailedPrecondition(
        f"{version.name} is in {version.stage}, and {environment.name} {wanted}"
        + ("; move it there first" if taken else ""),
        reason="STAGE_NOT_TAKEN",
        stage=version.stage,
        stages=",".join(taken),
    )


def past(
    wanted: datetime.datetime | None, now: datetime.datetime, field_name: str
) -> datetime.datetime:
    """The instant, or now if there is none or it is a little ahead of our clock.

    Raises `errors.InvalidArgument` if it is further ahead than `CLOCK_SKEW`.
    """
    if wanted is None:
        return now
    if wanted > now + CLOCK_SKEW:
        raise errors.invalid(
            f"is {wanted:%Y-%m-%d %H:%M:%S} UTC, and it is {now:%Y-%m-%d %H:%M:%S} UTC; "
            "set the clock of the machine that records",
            field_name,
        )
    return min(wanted, now)


def start_after(
    wanted: datetime.datetime, last: Deployment | None, running: Collection[Deployment]
) -> datetime.datetime:
    """When a deployment begins that has a place to itself.

    Args:
        wanted: when it began as its recorder says.
        last: the last one there that has ended, or None.
        running: what runs there, and gives way.

    Raises:
        errors.FailedPrecondition: another ran then, by more than clocks may differ.
    """
    edges = [(one.started_at + INSTANT, one) for one in running]
    if last is not None and last.ended_at is not None:
        edges.append((last.ended_at, last))
    if not edges:
        return wanted
    edge, holder = max(edges, key=lambda pair: pair[0])
    if wanted < edge - CLOCK_SKEW:
        raise errors.FailedPrecondition(
            f"{holder.name} ({holder.version.version}) ran or began in {holder.environment} after "
            f"{wanted:%Y-%m-%d %H:%M:%S} UTC; a deployment begins after the one before it",
            reason="DEPLOYMENT_OVERLAPS",
            deployment=holder.name,
        )
    return max(wanted, edge)


def end_after(wanted: datetime.datetime, deployment: Deployment) -> datetime.datetime:
    """When a deployment ended; raises `errors.InvalidArgument` if that is before it began."""
    if wanted < deployment.started_at - CLOCK_SKEW:
        raise errors.invalid(
            f"is {wanted:%Y-%m-%d %H:%M:%S} UTC, before the deployment began "
            f"({deployment.started_at:%Y-%m-%d %H:%M:%S} UTC)",
            "end_time",
        )
    return max(wanted, deployment.started_at + INSTANT)


def require_running(deployment: Deployment) -> None:
    """Raise `errors.FailedPrecondition` if it has ended."""
    if deployment.outcome is not None:
        raise errors.FailedPrecondition(
            f"{deployment.name} ended already, as {deployment.outcome}",
            reason="DEPLOYMENT_ENDED",
            outcome=deployment.outcome,
        )
