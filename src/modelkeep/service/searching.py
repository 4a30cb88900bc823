"""Use case of finding versions by what they are."""

import contextlib
from collections.abc import Collection

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, filters, names, pages, versions
from modelkeep.storage import database, search, search_sql
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows

TIMEOUT_S = 5.0
"""A search that no index serves does not burden the database for longer."""


class Searching:
    """Finds versions.

    Args:
        db: the database.
        timeout_s: how long one statement of a search may take, in seconds.
    """

    def __init__(self, db: database.Database, timeout_s: float = TIMEOUT_S) -> None:
        self._db = db
        self._timeout_s = timeout_s

    async def search(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName | names.ModelName,
        wanted: filters.Search,
        page: pages.PageRequest,
    ) -> pages.Page[versions.Version]:
        """A page of the versions within a namespace or a model that fit and may be read.

        They have no content but the metrics asked for, and no card. Raises `errors.NotFound`
        (parent) and `errors.DeadlineExceeded` (no index narrows the search).
        """
        only = policy.require_some(caller, policy.Action.READ_VERSION, parent)
        _admit_named(caller, wanted.condition)
        async with self._db.transaction() as connection:
            scope = await _scope(connection, parent, only)
            await search.settle(connection, self._timeout_s)
            return await search.list_page(connection, scope, wanted, page)


def _admit_named(caller: callers.Caller, condition: filters.Condition) -> None:
    """See versions that the condition names, wherever the caller may read them."""
    for leaf in filters.leaves(condition):
        if isinstance(leaf, filters.Comparison) and leaf.subject.field in {"base", "name"}:
            with contextlib.suppress(errors.NotFound, errors.PermissionDenied):
                name = names.VersionName.parse(str(leaf.value))
                policy.require(caller, policy.Action.READ_VERSION, name)


async def _scope(
    connection: database.Connection,
    parent: names.NamespaceName | names.ModelName,
    only: Collection[str] | None,
) -> search_sql.Scope:
    if isinstance(parent, names.ModelName):
        model = await model_rows.get(connection, parent)
        return search_sql.Scope(model.namespace_id, model.model_id)
    namespace_id = await namespace_rows.get_id(connection, parent.namespace)
    among = await model_rows.find_ids(connection, namespace_id, only)
    return search_sql.Scope(namespace_id, among=among)
