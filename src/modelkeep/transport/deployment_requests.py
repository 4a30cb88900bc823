"""Crossings of the requests of DeploymentService."""

import datetime
from collections.abc import Mapping
from functools import partial
from typing import Any

from modelkeep.domain import checks, deployments, names, pages, refs, rollbacks
from modelkeep.service import changes
from modelkeep.transport import convert, page_tokens
from modelkeep.transport import convert_deployments as crossing
from modelkeep.v1 import deployment_service_pb2 as pb

_FIELDS = frozenset({"description", "labels", "stages", "allow_several"})


def _once(found: checks.Checks, method: str, request: Any) -> changes.Once:
    return found.make("", partial(convert.once_from_wire, method, request))


def create_environment(
    request: pb.CreateEnvironmentRequest,
) -> tuple[changes.Once, names.EnvironmentName, deployments.EnvironmentFields]:
    """Arguments of `Environments.create`."""
    with checks.Checks() as found:
        once = _once(found, "CreateEnvironment", request)
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        found.id("environment_id", request.environment_id)
        fields = found.make(
            "environment", partial(crossing.environment_fields_from_wire, request.environment)
        )
        found.require(
            bool(request.environment.stages), "environment.stages", "must name at least one stage"
        )
    return once, names.EnvironmentName(parent.namespace, request.environment_id), fields


def update_environment(
    request: pb.UpdateEnvironmentRequest,
) -> tuple[changes.Once, names.EnvironmentName, Mapping[str, Any], str]:
    """Arguments of `Environments.update`."""
    wire = request.environment
    with checks.Checks() as found:
        once = _once(found, "UpdateEnvironment", request)
        name = found.make("environment.name", partial(names.EnvironmentName.parse, wire.name))
        convert.check_etag(found, "environment.etag", wire.etag)
        fields = found.make("environment", partial(crossing.environment_fields_from_wire, wire))
        mask = partial(convert.mask_from_wire, request.update_mask, _FIELDS)
        paths = found.make("update_mask", mask)
    return once, name, {path: getattr(fields, path) for path in paths}, wire.etag


def record(request: pb.RecordDeploymentRequest) -> tuple[changes.Once, deployments.Draft]:
    """Arguments of `Deployments.record`."""
    with checks.Checks() as found:
        once = _once(found, "RecordDeployment", request)
        parent = found.make("parent", partial(names.ModelName.parse, request.parent))
        draft = found.make(
            "deployment", partial(crossing.draft_from_wire, request.deployment, parent)
        )
    return once, draft


def end(
    request: pb.EndDeploymentRequest,
) -> tuple[changes.Once, names.DeploymentName, deployments.Ending]:
    """Arguments of `Deployments.end`."""
    with checks.Checks() as found:
        once = _once(found, "EndDeployment", request)
        name = found.make("name", partial(names.DeploymentName.parse, request.name))
        ending = found.make("", partial(_ending, request))
    return once, name, ending


def _ending(request: pb.EndDeploymentRequest) -> deployments.Ending:
    found = checks.Checks()
    outcome = found.make(
        "outcome", partial(convert.enum_from_wire, request.outcome, crossing.OUTCOMES)
    )
    ended_at = found.make("end_time", partial(crossing.instant_from_wire, request, "end_time"))
    return found.finish(lambda: deployments.Ending(outcome, request.reason, ended_at))


def listing(
    tokens: page_tokens.PageTokens, request: pb.ListDeploymentsRequest
) -> tuple[names.NamespaceName | names.ModelName, deployments.Filter, pages.PageRequest]:
    """Arguments of `Deployments.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(_parent, request.parent))
        wanted = found.make("", partial(_filter, request))
        page = found.make("", partial(tokens.read, request))
    return parent, wanted, page


def _parent(text: str) -> names.NamespaceName | names.ModelName:
    is_model = "/models/" in text
    return names.ModelName.parse(text) if is_model else names.NamespaceName.parse(text)


def _filter(request: pb.ListDeploymentsRequest) -> deployments.Filter:
    found = checks.Checks()
    outcome = None
    if request.outcome:
        read = partial(convert.enum_from_wire, request.outcome, crossing.OUTCOMES)
        outcome = found.make("outcome", read)
    return found.finish(
        lambda: deployments.Filter(
            request.environment, request.version, request.running, outcome, request.deployer
        )
    )


def history(
    tokens: page_tokens.PageTokens, request: pb.GetDeploymentHistoryRequest
) -> tuple[names.ModelName, str, datetime.datetime | None, pages.PageRequest]:
    """Arguments of `Deployments.history`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.ModelName.parse, request.parent))
        if request.environment:
            found.id("environment", request.environment)
        as_of = found.make("as_of", partial(crossing.instant_from_wire, request, "as_of"))
        page = found.make("", partial(tokens.read, request))
    return parent, request.environment, as_of, page


def roll_back(request: pb.RollBackDeploymentRequest) -> tuple[changes.Once, rollbacks.Order]:
    """Arguments of `Rollback.roll_back`."""
    with checks.Checks() as found:
        once = _once(found, "RollBackDeployment", request)
        model = found.make("parent", partial(names.ModelName.parse, request.parent))
        found.id("environment", request.environment)
        named = None
        if request.deployment:
            named = found.make(
                "deployment", partial(names.DeploymentName.parse, request.deployment)
            )
        found.make("", partial(_order, request, names.ModelName("x", "x"), "x", None))
    return once, _order(request, model, request.environment, named)


def _order(
    request: pb.RollBackDeploymentRequest,
    model: names.ModelName,
    environment: str,
    named: names.DeploymentName | None,
) -> rollbacks.Order:
    return rollbacks.Order(
        model=model,
        environment=names.EnvironmentName(model.namespace, environment),
        reason=request.reason,
        target=request.target_version,
        deployment=named,
        bypass_gates=request.bypass_gates,
    )


def sheet(request: pb.GetDeploymentSheetRequest) -> tuple[refs.Ref, bool]:
    """Which version, and whether its sheet is to be JSON."""
    known = (pb.SHEET_FORMAT_UNSPECIFIED, pb.SHEET_FORMAT_MARKDOWN, pb.SHEET_FORMAT_JSON)
    with checks.Checks() as found:
        ref = found.make("ref", partial(refs.parse, request.ref))
        found.require(request.format in known, "format", f"{request.format} is not a format")
    return ref, request.format == pb.SHEET_FORMAT_JSON
