"""Following models to where they are today, by names that they had."""

from collections.abc import Collection

from modelkeep.authz import caller as callers
from modelkeep.authz import grants, policy
from modelkeep.domain import errors, names, sight
from modelkeep.storage import database, model_names

Moved = dict[names.ModelName, names.ModelName]


async def find(
    connection: database.Connection,
    caller: callers.Caller,
    action: policy.Action,
    wanted: Collection[names.ModelName],
) -> Moved:
    """Today's names of those models that were called so, and shows their namespaces from now on.

    Without those that are in another namespace where the caller is not allowed the action: nobody
    is told by an old name where a model is that they may not read.
    """
    async with database.widened(connection, sight.Work.FOLLOW_MOVED):
        found = await model_names.find_moved(connection, wanted)
    shown = readable(caller, action, found)
    for new in shown.values():
        sight.admit(new.namespace)
    await database.show_admitted(connection)
    return shown


async def find_all(
    connection: database.Connection,
    caller: callers.Caller,
    wanted: Collection[names.ModelName],
) -> Moved:
    """Today's names of those models that were called so, and may be read where they are.

    Raises `errors.NotFound` for one that may not, which says no more than that it has left.
    """
    async with database.widened(connection, sight.Work.FOLLOW_MOVED):
        found = await model_names.find_moved(connection, wanted)
    shown = readable(caller, policy.Action.READ_MODEL, found)
    for old in found.keys() - shown.keys():
        raise errors.NotFound(f"{old} is not here any more", resource=old)
    return shown


def readable(caller: callers.Caller, action: policy.Action, found: Moved) -> Moved:
    """Those that stayed in their namespace, or may be told to the caller."""
    return {
        old: new
        for old, new in found.items()
        if new.namespace == old.namespace or policy.allows(caller, action, grants.place_of(new))
    }
