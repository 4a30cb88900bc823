"""Use cases of evaluations: what was measured of sealed versions."""

import datetime
import functools
import secrets

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, evaluations, events, names, pages, versions
from modelkeep.service import changes
from modelkeep.storage import codec, database
from modelkeep.storage import evaluations as rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows

_SEALED = frozenset({versions.VersionState.READY, versions.VersionState.QUARANTINED})
_KEY_BYTES = 8


class Evaluations:
    """Records and reads evaluations; none ever changes."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def record(
        self,
        caller: callers.Caller,
        once: changes.Once,
        version: names.VersionName,
        report: evaluations.Report,
        terms: evaluations.Terms,
    ) -> evaluations.Evaluation:
        """Record what was measured of a version, in place of another evaluation if one is named.

        With `unless_recorded` the same report is recorded once, whoever comes with it.

        Raises `errors.NotFound` (version, evaluation), `errors.InvalidArgument` (a run in the
        future, a metric that gets better the other way elsewhere), `errors.FailedPrecondition`
        (VERSION_NOT_SEALED, EVALUATION_SUPERSEDED).
        """
        policy.require(caller, policy.Action.RECORD_EVALUATION, version)
        evaluations.require_past(report.run_at, datetime.datetime.now(datetime.UTC))
        body = functools.partial(_record, version, report, terms)
        return await self._changes.apply(caller, once, evaluations.Evaluation, body)

    async def get(
        self, caller: callers.Caller, name: names.EvaluationName
    ) -> evaluations.Evaluation:
        """Read an evaluation with all its metrics; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_EVALUATION, name)
        async with self._db.connection() as connection:
            return (await rows.get(connection, name)).evaluation

    async def list(
        self,
        caller: callers.Caller,
        version: names.VersionName,
        wanted: evaluations.Filter,
        page: pages.PageRequest,
    ) -> pages.Page[evaluations.Evaluation]:
        """A page of a version's evaluations, the last recorded first; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_EVALUATION, version)
        async with self._db.connection() as connection:
            version_id = (await version_rows.get(connection, version)).version_id
            return await rows.list_page(connection, version_id, wanted, page)


async def _record(
    version: names.VersionName,
    report: evaluations.Report,
    terms: evaluations.Terms,
    change: changes.Change,
) -> evaluations.Evaluation:
    # The model is locked so that no two reports at once disagree on a metric's direction, or are
    # recorded both where they are the same.
    model = await model_rows.lock(change.connection, version.parent)
    stored = await version_rows.lock(change.connection, version)
    _require_sealed(stored.version)
    old = await rows.get(change.connection, terms.supersedes) if terms.supersedes else None
    if terms.unless_recorded:
        same = await rows.find_same(change.connection, stored.version_id, report, old)
        if same:
            return same
    known = await rows.directions(change.connection, model.model_id, report, old)
    evaluations.require_directions(report, known)
    if old:
        await _supersede(old, change)
    key = secrets.token_hex(_KEY_BYTES)
    draft = rows.Draft(stored, key, report, change.caller.principal, old)
    recorded = await rows.insert(change.connection, draft)
    change.record(version.namespace, _event(recorded))
    return recorded


def _require_sealed(version: versions.Version) -> None:
    if version.state not in _SEALED:
        raise errors.FailedPrecondition(
            f"{version.name} is {version.state}; only sealed versions are evaluated",
            reason="VERSION_NOT_SEALED",
            state=version.state,
        )


async def _supersede(old: rows.Stored, change: changes.Change) -> None:
    if not await rows.supersede(change.connection, old):
        raise errors.FailedPrecondition(
            f"{old.evaluation.name} is superseded by {old.evaluation.superseded_by} already; "
            "supersede that one",
            reason="EVALUATION_SUPERSEDED",
            superseded_by=old.evaluation.superseded_by,
        )


def _event(recorded: evaluations.Evaluation) -> events.Event:
    """What the log says: everything but the figures of slices."""
    after = {
        "dataset": str(recorded.dataset),
        "dataset_digest": recorded.dataset.digest,
        "suite": recorded.suite,
        "evaluator": recorded.evaluator,
        "run_at": codec.plain(recorded.run_at),
        "metrics": {one.name: one.value for one in recorded.metrics if not one.slice},
        "metric_count": recorded.metric_count,
        "supersedes": str(recorded.supersedes) if recorded.supersedes else None,
        "reason": recorded.note,
    }
    return events.Event("evaluation.recorded", recorded.name, None, after)
