"""Use case of compliance: what is missing of versions that people rely on."""

import contextlib

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import compliance, names, pages, sight
from modelkeep.storage import compliance as rows
from modelkeep.storage import database
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows


class Compliance:
    """Reports; it changes nothing."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def report(
        self, caller: callers.Caller, question: compliance.Question, page: pages.PageRequest
    ) -> compliance.Report:
        """A page of the report, the greatest risk first; raises `errors.NotFound` (namespace).

        Only versions that the caller may read are counted and ranked. All pages are as of the
        same instant: the first one's.
        """
        only = _require(caller, question.namespace)
        among = None
        async with self._reading(question) as connection:
            if question.namespace is not None:
                namespace = question.namespace.namespace
                namespace_id = await namespace_rows.get_id(connection, namespace)
                among = await model_rows.find_ids(connection, namespace_id, only)
            as_of, after = question.as_of, page.after
            if after:
                as_of, after = compliance.resumed(after)
            return await rows.report(
                connection,
                question,
                as_of or await rows.now(connection),
                pages.PageRequest(page.size, after),
                among,
            )

    def _reading(
        self, question: compliance.Question
    ) -> contextlib.AbstractAsyncContextManager[database.Connection]:
        if question.namespace is None:
            return self._db.everywhere(sight.Work.REPORT_COMPLIANCE)
        return self._db.connection()


def _require(
    caller: callers.Caller, namespace: names.NamespaceName | None
) -> frozenset[str] | None:
    """Which models may be reported on; None for all."""
    if namespace is None:
        policy.require(caller, policy.Action.READ_COMPLIANCE)
        return None
    return policy.require_some(caller, policy.Action.READ_COMPLIANCE, namespace)
