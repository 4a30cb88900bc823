"""What each role may do: one pure table, asked first by every service method."""

import enum

from modelkeep.authz.caller import Caller, Role
from modelkeep.domain import errors, names


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
    READ_AUDIT = "audit.read"
    VERIFY_AUDIT = "audit.verify"
    EXPORT_AUDIT = "audit.export"


ALLOWED: dict[Role, frozenset[Action]] = {
    Role.OWNER: frozenset(Action),
}


_READING = frozenset({"read", "list", "find", "search", "compare", "verify", "export"})
"""Verbs of actions that change nothing."""


def changes_something(action: str) -> bool:
    """Whether an action is a change, so that an attempt at it that is denied is audited."""
    return action.rpartition(".")[2] not in _READING


def require(caller: Caller, action: Action, resource: names.Resource | None = None) -> None:
    """Raise `errors.PermissionDenied` unless a role of the caller allows the action.

    Args:
        caller: who asks.
        action: what they ask for.
        resource: what they ask it of; None for the registry as a whole.
    """
    if any(action in ALLOWED[role] for role in caller.roles):
        return
    raise errors.PermissionDenied(
        f"{caller.principal} may not {action} on {resource or 'the registry'}",
        action=action,
        resource=resource or "",
    )
