"""Use case of compliance: what is missing of versions that people rely on."""

import contextlib

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import compliance, pages, sight
from modelkeep.storage import compliance as rows
from modelkeep.storage import database
from modelkeep.storage import namespaces as namespace_rows


class Compliance:
    """Reports; it changes nothing."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def report(
        self, caller: callers.Caller, question: compliance.Question, page: pages.PageRequest
    ) -> compliance.Report:
        """A page of the report, the greatest risk first; raises `errors.NotFound` (namespace).

        All pages are as of the same instant: the first one's.
        """
        policy.require(caller, policy.Action.READ_COMPLIANCE, question.namespace)
        async with self._reading(question) as connection:
            if question.namespace is not None:
                await namespace_rows.get_id(connection, question.namespace.namespace)
            as_of, after = question.as_of, page.after
            if after:
                as_of, after = compliance.resumed(after)
            return await rows.report(
                connection,
                question,
                as_of or await rows.now(connection),
                pages.PageRequest(page.size, after),
            )

    def _reading(
        self, question: compliance.Question
    ) -> contextlib.AbstractAsyncContextManager[database.Connection]:
        if question.namespace is None:
            return self._db.everywhere(sight.Work.REPORT_COMPLIANCE)
        return self._db.connection()
