"""Crossings of requests about gates."""

from functools import partial

from modelkeep.domain import checks, errors, gate_policies, names, pages
from modelkeep.service import changes
from modelkeep.service import gate_policies as use_cases
from modelkeep.transport import convert, convert_gates, page_tokens
from modelkeep.v1 import lifecycle_service_pb2 as pb


def set_policy(
    request: pb.SetGatePolicyRequest,
) -> tuple[changes.Once, names.GatePolicyName, gate_policies.Rules, str]:
    """Arguments of `GatePolicies.set_policy`, but for whether it is a dry run."""
    wire = request.policy
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "SetGatePolicy", request))
        name = found.make("policy.name", partial(names.GatePolicyName.parse, wire.name))
        convert.check_etag(found, "policy.etag", wire.etag)
        rules = found.make("policy", partial(convert_gates.rules_from_wire, name, wire))
    return once, name, rules, wire.etag


def evaluate(request: pb.EvaluateGatesRequest) -> tuple[names.VersionName, str]:
    """Arguments of `GatePolicies.evaluate`."""
    with checks.Checks() as found:
        name = found.make("name", partial(names.VersionName.parse, request.name))
        gated = request.stage in gate_policies.GATED
        shown = (
            f"{checks.shown(request.stage)} has no gates; {' and '.join(gate_policies.GATED)} do"
        )
        found.require(gated, "stage", shown)
    return name, request.stage


def listing(
    tokens: page_tokens.PageTokens, request: pb.ListGatePoliciesRequest
) -> tuple[use_cases.Owner, pages.PageRequest]:
    """Arguments of `GatePolicies.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(owner, request.parent))
        page = found.make("", partial(tokens.read, request))
    return parent, page


def owner(text: str) -> use_cases.Owner:
    """A namespace or a model by its name, or `errors.InvalidArgument`."""
    if "/models/" in text:
        return names.ModelName.parse(text)
    if text.startswith("namespaces/"):
        return names.NamespaceName.parse(text)
    form = "namespaces/{namespace} or namespaces/{namespace}/models/{model}"
    raise errors.invalid(f"{checks.shown(text)} does not match {form}")
