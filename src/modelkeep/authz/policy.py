"""What each role may do: one pure table, asked first by every service method."""

import enum
from collections.abc import Iterable

from modelkeep.audit_chain import links
from modelkeep.authz import grants
from modelkeep.authz.caller import ANY, Caller, Grant, Role
from modelkeep.domain import errors, names, sight


class Action(enum.StrEnum):
    """Everything a caller can ask for."""

    CREATE_NAMESPACE = "namespace.create"
    READ_NAMESPACE = "namespace.read"
    LIST_NAMESPACES = "namespace.list"
    UPDATE_NAMESPACE = "namespace.update"
    SET_QUOTA = "quota.set"
    CREATE_MODEL = "model.create"
    READ_MODEL = "model.read"
    UPDATE_MODEL = "model.update"
    DELETE_MODEL = "model.delete"
    MOVE_MODEL = "model.move"
    CREATE_VERSION = "version.create"
    READ_VERSION = "version.read"
    UPDATE_VERSION = "version.update"
    FINALIZE_VERSION = "version.finalize"
    DELETE_VERSION = "version.delete"
    PURGE_VERSION = "version.purge"
    READ_LINEAGE = "lineage.read"
    ADD_LINEAGE = "lineage.add"
    RELEASE_VERSION = "version.release"
    VERIFY_VERSION = "version.verify"
    RECORD_EVALUATION = "evaluation.record"
    READ_EVALUATION = "evaluation.read"
    SET_EVALUATION_PLAN = "evaluation_plan.set"
    SET_RISK = "risk.set"
    READ_COMPLIANCE = "compliance.read"
    READ_ALIAS = "alias.read"
    READ_HISTORY = "history.read"
    SET_ALIAS = "alias.set"
    DELETE_ALIAS = "alias.delete"
    SET_PROTECTED_ALIAS = "alias.set_protected"
    PROTECT_ALIASES = "alias.protect"
    SET_STAGE = "stage.set"
    READ_BLOB = "blob.read"
    FIND_BLOB = "blob.find"
    WRITE_UPLOAD = "upload.write"
    READ_UPLOAD = "upload.read"
    COLLECT_GARBAGE = "garbage.collect"
    READ_EVENTS = "event.read"
    CREATE_WEBHOOK = "webhook.create"
    READ_WEBHOOK = "webhook.read"
    UPDATE_WEBHOOK = "webhook.update"
    DELETE_WEBHOOK = "webhook.delete"
    REDELIVER = "webhook.redeliver"
    READ_ENVIRONMENT = "environment.read"
    CREATE_ENVIRONMENT = "environment.create"
    UPDATE_ENVIRONMENT = "environment.update"
    DELETE_ENVIRONMENT = "environment.delete"
    READ_DEPLOYMENT = "deployment.read"
    RECORD_DEPLOYMENT = "deployment.record"
    END_DEPLOYMENT = "deployment.end"
    ROLL_BACK = "deployment.roll_back"
    BYPASS_GATES = "gates.bypass"
    SET_GATE_POLICY = "gate_policy.set"
    READ_GATE_POLICY = "gate_policy.read"
    REQUEST_TRANSITION = "transition.request"
    APPROVE_TRANSITION = "transition.approve"
    COMMIT_TRANSITION = "transition.commit"
    CANCEL_TRANSITION = "transition.cancel"
    READ_TRANSITION = "transition.read"
    READ_AUDIT = "audit.read"
    VERIFY_AUDIT = "audit.verify"
    EXPORT_AUDIT = "audit.export"
    ATTACH_SIGNATURE = "signature.attach"
    READ_SIGNATURE = "signature.read"
    CREATE_TRUST = "trust.create"
    READ_TRUST = "trust.read"
    REVOKE_TRUST = "trust.revoke"
    READ_PROVENANCE = "provenance.read"
    CREATE_TOKEN = "token.create"  # noqa: S105 - the name of an action
    READ_TOKEN = "token.read"  # noqa: S105 - as above
    REVOKE_TOKEN = "token.revoke"  # noqa: S105 - as above
    GRANT_ROLE = "role.grant"
    READ_ROLE = "role.read"
    REVOKE_ROLE = "role.revoke"


_METADATA = frozenset(
    {
        Action.READ_NAMESPACE,
        Action.LIST_NAMESPACES,
        Action.READ_MODEL,
        Action.READ_VERSION,
        Action.READ_LINEAGE,
        Action.READ_EVALUATION,
        Action.READ_GATE_POLICY,
        Action.READ_TRANSITION,
        Action.READ_COMPLIANCE,
        Action.READ_ALIAS,
        Action.READ_HISTORY,
        Action.READ_EVENTS,
        Action.READ_ENVIRONMENT,
        Action.READ_DEPLOYMENT,
        Action.READ_SIGNATURE,
        Action.READ_TRUST,
        Action.READ_PROVENANCE,
    }
)
_READING = _METADATA | {Action.READ_BLOB, Action.FIND_BLOB, Action.VERIFY_VERSION}
_MAKING = frozenset(
    {
        Action.CREATE_MODEL,
        Action.UPDATE_MODEL,
        Action.CREATE_VERSION,
        Action.UPDATE_VERSION,
        Action.FINALIZE_VERSION,
        Action.DELETE_VERSION,
        Action.ADD_LINEAGE,
        Action.RECORD_EVALUATION,
        Action.SET_EVALUATION_PLAN,
        Action.ATTACH_SIGNATURE,
        Action.SET_ALIAS,
        Action.DELETE_ALIAS,
        Action.WRITE_UPLOAD,
        Action.READ_UPLOAD,
    }
)
_POINTING = frozenset(
    {Action.SET_STAGE, Action.SET_ALIAS, Action.DELETE_ALIAS, Action.SET_PROTECTED_ALIAS}
)
_ASKING_FOR = frozenset({Action.REQUEST_TRANSITION, Action.COMMIT_TRANSITION})
_APPROVING = frozenset({Action.APPROVE_TRANSITION, Action.CANCEL_TRANSITION})
_DEPLOYING = frozenset({Action.RECORD_DEPLOYMENT, Action.END_DEPLOYMENT, Action.ROLL_BACK})
_AUDITING = frozenset(
    {
        Action.READ_AUDIT,
        Action.VERIFY_AUDIT,
        Action.EXPORT_AUDIT,
        Action.READ_TOKEN,
        Action.READ_ROLE,
    }
)

ALLOWED: dict[Role, frozenset[Action]] = {
    Role.READER: _READING,
    Role.CONTRIBUTOR: _READING | _MAKING | _ASKING_FOR,
    Role.APPROVER: _READING
    | _POINTING
    | _ASKING_FOR
    | _APPROVING
    | {Action.RELEASE_VERSION, Action.ATTACH_SIGNATURE},
    Role.DEPLOYER: _READING | _POINTING | _ASKING_FOR | _DEPLOYING,
    Role.AUDITOR: _METADATA | _AUDITING,
    Role.ADMIN: frozenset(Action),
}
"""Who may do what. A new action goes to the roles that have it; an admin has all."""

OF_THE_REGISTRY = frozenset({Action.CREATE_NAMESPACE, Action.SET_QUOTA})
"""What takes a role in the registry as a whole, even where it is about one namespace."""

FROM_WITHIN = frozenset(
    {
        Action.READ_NAMESPACE,
        Action.READ_MODEL,
        Action.READ_ENVIRONMENT,
        Action.READ_BLOB,
        Action.FIND_BLOB,
        Action.WRITE_UPLOAD,
        Action.READ_UPLOAD,
    }
)
"""What a role on one model of a namespace allows in the namespace: bytes belong to no model, and
a list of models shows those that may be read."""

_NO_ID = "?"
"""Nothing is called so: what may be done there may be done everywhere."""
_ASKING = frozenset({"read", "list", "find", "search", "compare", "verify", "export"})
"""Verbs of actions that change nothing."""


def changes_something(action: str) -> bool:
    """Whether an action is a change, so that an attempt at it that is denied is audited."""
    return action.rpartition(".")[2] not in _ASKING


def reach(caller: Caller, action: Action) -> sight.Sight:
    """All namespaces in which the caller is allowed the action."""
    if allows(caller, action, grants.Place(ANY)):  # no namespace is called so
        return sight.EVERYTHING
    named = {grant.namespace for grant in (*caller.grants, *caller.scopes)} - {ANY}
    return sight.Sight(
        frozenset(name for name in named if allows(caller, action, grants.Place(name)))
    )


def require(
    caller: Caller,
    action: Action,
    resource: names.Resource | None = None,
    *,
    stage: str = "",
    alias: str = "",
) -> None:
    """Raise unless a role of the caller allows the action there.

    What is raised does not depend on whether the resource exists: `errors.PermissionDenied`, or
    `errors.Hidden` if the caller may know nothing of its namespace.

    Args:
        caller: who asks.
        action: what they ask for.
        resource: what they ask it of; None for the registry as a whole.
        stage: to which stage something is to be moved.
        alias: which alias is to be changed.
    """
    place = grants.place_of(resource)
    if allows(caller, action, place, stage=stage, alias=alias):
        # What is permitted is what the database shows from here on (ADR 0028).
        sight.admit(place.namespace or links.REGISTRY)
        return
    denied = errors.PermissionDenied(
        f"{caller.principal} may not {action} on {resource or 'the registry'}; "
        f"who may: {', '.join(roles_that_may(action))}",
        action=action,
        resource=resource or "",
    )
    if action in OF_THE_REGISTRY or not place.namespace or knows(caller, place.namespace):
        raise denied
    raise errors.Hidden(f"{resource} does not exist", denied, resource=resource)


def require_some(caller: Caller, action: Action, parent: names.Resource) -> frozenset[str] | None:
    """Raise unless the action is allowed there, or on some of a namespace's models.

    For what lists things of models, and is asked of their namespace. What is raised is what
    `require` raises.

    Returns:
        ids of the models that are to be shown; None for everything that is there.
    """
    place = grants.place_of(parent)
    if not place.model:
        only = models_with(caller, action, place.namespace)
        if only:
            sight.admit(place.namespace)
            return only
    require(caller, action, parent)
    return None


def allows(
    caller: Caller, action: Action, place: grants.Place, *, stage: str = "", alias: str = ""
) -> bool:
    """Whether a grant of the caller covers the action, and its credentials do as well."""
    if not _any_covers(caller.grants, action, place, stage, alias):
        return False
    return not caller.scopes or _any_covers(caller.scopes, action, place, stage, alias)


def knows(caller: Caller, namespace: str) -> bool:
    """Whether the caller may know that there is such a namespace."""
    return allows(caller, Action.READ_NAMESPACE, grants.Place(namespace))


def readable_namespaces(caller: Caller) -> frozenset[str] | None:
    """Ids of the namespaces that a list may show; None for all there are, and those to come."""
    if knows(caller, _NO_ID):
        return None
    named = {grant.namespace for grant in (*caller.grants, *caller.scopes)} - {ANY}
    return frozenset(namespace for namespace in named if knows(caller, namespace))


def readable_models(caller: Caller, namespace: str) -> frozenset[str] | None:
    """Ids of the models of a namespace that a list may show; None for all."""
    return models_with(caller, Action.READ_MODEL, namespace)


def models_with(caller: Caller, action: Action, namespace: str) -> frozenset[str] | None:
    """Ids of the models of a namespace on which the caller is allowed the action; None for all."""

    def may(model: str) -> bool:
        return allows(caller, action, grants.Place(namespace, model))

    if may(_NO_ID):
        return None
    named = {grant.model for grant in (*caller.grants, *caller.scopes)} - {ANY}
    return frozenset(model for model in named if may(model))


def roles_that_may(action: Action) -> list[Role]:
    """The roles whose line of the table has the action."""
    return [role for role in Role if action in ALLOWED[role]]


def roles_for(
    given: Iterable[Grant], action: Action, resource: names.Resource, *, stage: str = ""
) -> frozenset[Role]:
    """Those of the roles that were given by which the action is allowed there."""
    place = grants.place_of(resource)
    return frozenset(grant.role for grant in given if _covers(grant, action, place, stage, ""))


def _any_covers(
    given: Iterable[Grant], action: Action, place: grants.Place, stage: str, alias: str
) -> bool:
    return any(_covers(grant, action, place, stage, alias) for grant in given)


def _covers(grant: Grant, action: Action, place: grants.Place, stage: str, alias: str) -> bool:
    if action not in ALLOWED[grant.role]:
        return False
    if action is Action.LIST_NAMESPACES:  # whoever may read something is shown what that is
        return True
    if action in OF_THE_REGISTRY:
        place = grants.REGISTRY
    if not grants.reaches(grant, place, from_within=action in FROM_WITHIN):
        return False
    return grants.concerns(grant, stage, alias) or not changes_something(action)
