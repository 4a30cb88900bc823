"""Crossings of environments, deployments and rollbacks."""

import datetime
from functools import partial
from typing import Any

from modelkeep.domain import checks, deployments, errors, names, rollbacks
from modelkeep.transport import convert
from modelkeep.v1 import deployment_service_pb2 as pb

OUTCOMES: dict[int, deployments.Outcome] = {
    pb.DEPLOYMENT_OUTCOME_SUCCEEDED: deployments.Outcome.SUCCEEDED,
    pb.DEPLOYMENT_OUTCOME_FAILED: deployments.Outcome.FAILED,
    pb.DEPLOYMENT_OUTCOME_SUPERSEDED: deployments.Outcome.SUPERSEDED,
    pb.DEPLOYMENT_OUTCOME_ROLLED_BACK: deployments.Outcome.ROLLED_BACK,
}


def environment_fields_from_wire(wire: pb.Environment) -> deployments.EnvironmentFields:
    """What a caller says about an environment."""
    return deployments.EnvironmentFields(
        wire.description, dict(wire.labels), tuple(wire.stages), wire.allow_several
    )


def environment_to_wire(environment: deployments.Environment) -> pb.Environment:
    """An environment for the wire."""
    fields = environment.fields
    return pb.Environment(
        name=str(environment.name),
        description=fields.description,
        labels=fields.labels,
        stages=fields.stages,
        allow_several=fields.allow_several,
        creator=environment.creator,
        create_time=convert.timestamp_to_wire(environment.created_at),
        update_time=convert.timestamp_to_wire(environment.updated_at),
        etag=environment.etag,
    )


def instant_from_wire(owner: Any, field: str) -> datetime.datetime | None:
    """An instant that need not be set, or `errors.InvalidArgument`."""
    if not owner.HasField(field):
        return None
    return convert.timestamp_from_wire(getattr(owner, field))


def draft_from_wire(wire: pb.Deployment, parent: names.ModelName | None) -> deployments.Draft:
    """What is to be recorded of a model, or `errors.InvalidArgument`."""
    found = checks.Checks()
    version = found.make("version", partial(_version_of, wire.version, parent))
    environment = found.make("environment", partial(names.EnvironmentName.parse, wire.environment))
    started_at = found.make("start_time", partial(instant_from_wire, wire, "start_time"))
    # What needs no names is checked even where they are malformed.
    within = (environment or version or names.NamespaceName("x")).namespace
    version = version or names.VersionName(within, "x", "0.0.0")
    environment = environment or names.EnvironmentName(version.namespace, "x")
    target, labels, reason = wire.target, dict(wire.labels), wire.reason
    return found.finish(
        lambda: deployments.Draft(version, environment, target, labels, reason, started_at)
    )


def _version_of(text: str, parent: names.ModelName | None) -> names.VersionName:
    name = names.VersionName.parse(text)
    if parent is not None and name.parent != parent:
        raise errors.invalid("is of another model than the parent")
    return name


def deployment_to_wire(deployment: deployments.Deployment) -> pb.Deployment:
    """A deployment for the wire."""
    outcome = deployment.outcome
    return pb.Deployment(
        name=str(deployment.name),
        version=str(deployment.version),
        environment=str(deployment.environment),
        outcome=convert.enum_to_wire(outcome, OUTCOMES) if outcome else 0,  # type: ignore[arg-type]
        target=deployment.target,
        labels=deployment.labels,
        deployer=deployment.deployer,
        start_time=convert.timestamp_to_wire(deployment.started_at),
        end_time=convert.timestamp_to_wire(deployment.ended_at),
        ended_by=deployment.ended_by,
        end_reason=deployment.end_reason,
        stage=deployment.stage,
        reason=deployment.reason,
        rollback_of=str(deployment.rollback_of) if deployment.rollback_of else "",
        create_time=convert.timestamp_to_wire(deployment.created_at),
    )


def rollback_to_wire(outcome: rollbacks.Outcome) -> pb.RollBackDeploymentResponse:
    """What came of a rollback, for the wire."""
    return pb.RollBackDeploymentResponse(
        deployment=deployment_to_wire(outcome.deployment),
        rolled_back=deployment_to_wire(outcome.rolled_back),
        moves=[
            pb.RollbackMove(version=str(move.version), from_stage=move.origin, to_stage=move.target)
            for move in outcome.moves
        ],
        bypassed_gates=outcome.bypassed,
    )
