"""Environments and deployments, as the SDK shows them."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from modelkeep.client import convert, refs
from modelkeep.v1 import deployment_service_pb2 as pb


class DeploymentOutcome(enum.StrEnum):
    """Whether a deployment runs, and how it ended if not."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A place where versions run.

    Attributes:
        name: its resource name.
        description: for people.
        labels: key and value pairs.
        stages: from which stages versions may be deployed there.
        allow_several: whether several deployments of one model may run there at once.
        creator: who created it.
        created_at: when.
        updated_at: when it was changed last.
        etag: changes with each change.
    """

    name: str
    description: str
    labels: Mapping[str, str]
    stages: tuple[str, ...]
    allow_several: bool
    creator: str
    created_at: datetime | None
    updated_at: datetime | None
    etag: str

    @property
    def ref(self) -> str:
        """`acme/prod`."""
        return "/".join(self.name.split("/")[1::2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """That a version ran in an environment; `ended_at` is None while it runs.

    Attributes:
        name: its resource name.
        version: `acme/voice@1.2.0`.
        environment: its id, `prod`.
        outcome: how it ended.
        target: where exactly it runs.
        labels: key and value pairs.
        deployer: who recorded it.
        started_at: when it began.
        ended_at: when it ended.
        ended_by: who recorded that.
        end_reason: why it ended.
        stage: where the version stood when this was recorded.
        reason: why it was begun.
        rollback_of: the deployment it took back: `acme/voice/0123456789abcdef`; '' if none.
        created_at: when it was recorded.
    """

    name: str
    version: str
    environment: str
    outcome: DeploymentOutcome
    target: str
    labels: Mapping[str, str]
    deployer: str
    started_at: datetime | None
    ended_at: datetime | None
    ended_by: str
    end_reason: str
    stage: str
    reason: str
    rollback_of: str
    created_at: datetime | None

    @property
    def ref(self) -> str:
        """`acme/voice/0123456789abcdef`, which `deploy end` and `deploy show` take."""
        return shortened(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDeployment:
    """A deployment that runs, and the one that it superseded, or ''."""

    deployment: Deployment
    superseded: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackMove:
    """That a rollback changed the stage of a version: `acme/voice@1.2.0`."""

    version: str
    from_stage: str
    to_stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOutcome:
    """What came of a rollback.

    Attributes:
        deployment: what runs now.
        rolled_back: what was taken back.
        moves: which versions changed their stage.
        bypassed_gates: what the gates that failed say; empty unless they were bypassed.
    """

    deployment: Deployment
    rolled_back: Deployment
    moves: tuple[RollbackMove, ...]
    bypassed_gates: tuple[str, ...]


def shortened(name: str) -> str:
    """`acme/voice/0123456789abcdef` of a deployment's resource name; '' of ''."""
    model, _, deployment = name.partition("/deployments/")
    return f"{refs.from_name(model)}/{deployment}" if deployment else ""


def full_name(text: str) -> str:
    """The resource name of `acme/voice/0123456789abcdef`, or of a resource name itself.

    Raises:
        BadReference: it is neither.
    """
    if "/deployments/" in text:
        return text
    model, _, deployment = text.rpartition("/")
    return f"{refs.parse_model(model).model_name}/deployments/{deployment}"


def environment_name(text: str) -> str:
    """The resource name of `acme/prod`.

    Raises:
        BadReference: it is not of that form.
    """
    namespace, _, environment = text.partition("/")
    return f"{refs.parse_namespace(namespace).namespace_name}/environments/{environment}"


def environment_from_wire(wire: pb.Environment) -> Environment:
    """An environment as the server sent it."""
    return Environment(
        name=wire.name,
        description=wire.description,
        labels=dict(wire.labels),
        stages=tuple(wire.stages),
        allow_several=wire.allow_several,
        creator=wire.creator,
        created_at=convert.instant_from_wire(wire, "create_time"),
        updated_at=convert.instant_from_wire(wire, "update_time"),
        etag=wire.etag,
    )


def outcome_to_wire(outcome: DeploymentOutcome) -> pb.DeploymentOutcome.ValueType:
    """The number of an outcome; that of running says nothing."""
    if outcome is DeploymentOutcome.RUNNING:
        return pb.DEPLOYMENT_OUTCOME_UNSPECIFIED
    return pb.DeploymentOutcome.Value(f"DEPLOYMENT_OUTCOME_{outcome.upper()}")


def _outcome(wire: pb.Deployment) -> DeploymentOutcome:
    """How it ended; one that a newer server invented is told as it has ended at least."""
    if not wire.HasField("end_time"):
        return DeploymentOutcome.RUNNING
    known = {outcome_to_wire(one): one for one in DeploymentOutcome}
    known.pop(pb.DEPLOYMENT_OUTCOME_UNSPECIFIED)
    return known.get(wire.outcome, DeploymentOutcome.SUPERSEDED)


def deployment_from_wire(wire: pb.Deployment) -> Deployment:
    """A deployment as the server sent it."""
    return Deployment(
        name=wire.name,
        version=refs.from_name(wire.version),
        environment=wire.environment.rpartition("/")[2],
        outcome=_outcome(wire),
        target=wire.target,
        labels=dict(wire.labels),
        deployer=wire.deployer,
        started_at=convert.instant_from_wire(wire, "start_time"),
        ended_at=convert.instant_from_wire(wire, "end_time"),
        ended_by=wire.ended_by,
        end_reason=wire.end_reason,
        stage=wire.stage,
        reason=wire.reason,
        rollback_of=shortened(wire.rollback_of),
        created_at=convert.instant_from_wire(wire, "create_time"),
    )


def rollback_from_wire(wire: pb.RollBackDeploymentResponse) -> RollbackOutcome:
    """What came of a rollback, as the server sent it."""
    return RollbackOutcome(
        deployment=deployment_from_wire(wire.deployment),
        rolled_back=deployment_from_wire(wire.rolled_back),
        moves=tuple(
            RollbackMove(
                version=refs.from_name(move.version),
                from_stage=move.from_stage,
                to_stage=move.to_stage,
            )
            for move in wire.moves
        ),
        bypassed_gates=tuple(wire.bypassed_gates),
    )
