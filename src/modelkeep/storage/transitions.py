"""Rows of transitions and of the verdicts about them."""

import dataclasses
import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelkeep.domain import errors, names, pages, stages, transitions, versions
from modelkeep.storage import database
from modelkeep.storage import gates as gate_rows
from modelkeep.storage import versions as version_rows

_BEYOND_LAST = 2**63 - 1
_ENDED_BY_HAND = {transitions.State.COMMITTED, transitions.State.CANCELLED}
"""States that no transition is in whose end nobody has noted."""
# The version in production stands beside, because a transition depends on it.
_COLUMNS = """t.transition_id, t.namespace_id, t.model_id, t.version_id, t.assignment_id, t.key,
n.name AS namespace, m.name AS model, v.version, v.state AS version_state, v.stage, t.origin,
t.target, t.reason, t.requester, t.created_at, t.expires_at, t.state, t.ended_at, t.end_actor,
t.end_reason,
(SELECT r.version FROM version r WHERE r.version_id = t.replaces_version_id) AS replaces,
(SELECT h.version FROM stage_assignment a JOIN version h ON h.version_id = a.version_id
 WHERE a.model_id = t.model_id AND a.stage = 'production' AND a.valid_to IS NULL) AS production"""
_FROM = """transition t JOIN version v ON v.version_id = t.version_id
JOIN model m ON m.model_id = t.model_id JOIN namespace n ON n.namespace_id = t.namespace_id"""

INSERT = """
INSERT INTO transition (key, namespace_id, model_id, version_id, origin, target, reason, requester,
created_at, expires_at, replaces_version_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"""
FIND_ID = """
SELECT t.transition_id FROM transition t JOIN version v ON v.version_id = t.version_id
JOIN model m ON m.model_id = t.model_id JOIN namespace n ON n.namespace_id = t.namespace_id
WHERE n.name = $1 AND m.name = $2 AND v.version = $3 AND t.key = $4"""
LOCK = f"{FIND_ID} FOR NO KEY UPDATE OF t"
GET = f"""SELECT {_COLUMNS} FROM {_FROM}
WHERE n.name = $1 AND m.name = $2 AND v.version = $3 AND t.key = $4"""
LIST_OPEN = f"""SELECT {_COLUMNS} FROM {_FROM}
WHERE t.version_id = $1 AND t.state IS NULL ORDER BY t.transition_id"""
LIST = f"""SELECT {_COLUMNS} FROM {_FROM}
WHERE t.transition_id < $1 AND t.namespace_id = $2 AND ($3::bigint IS NULL OR t.model_id = $3)
AND ($4::bigint IS NULL OR t.version_id = $4) AND ($5 = '' OR t.target = $5)
AND ((t.state IS NULL AND $6) OR t.state = ANY($7::text[]))
ORDER BY t.transition_id DESC LIMIT $8"""
LIST_SOME = LIST.replace("OR t.model_id = $3)", "OR t.model_id = $3) AND t.model_id = ANY ($9)")
LIST_VERDICTS = """
SELECT transition_id, approver, approved, comment, created_at, roles, groups
FROM transition_verdict WHERE transition_id = ANY($1::bigint[]) ORDER BY verdict_id"""
INSERT_VERDICT = """
INSERT INTO transition_verdict (namespace_id, transition_id, requester, approver, approved, comment,
created_at, roles, groups) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""
END = """
UPDATE transition SET state = $2, ended_at = $3, end_actor = $4, end_reason = $5, assignment_id = $6
WHERE transition_id = $1"""
# Those that are over by themselves: the same conditions as in `transitions.over`.
LIST_OVER = f"""
SELECT n.name AS namespace, m.name AS model, v.version, t.key FROM {_FROM}
WHERE t.state IS NULL AND (t.expires_at <= clock_timestamp() OR v.state <> 'ready'
OR v.stage <> t.origin OR (t.target = '{stages.PRODUCTION}' AND t.replaces_version_id
IS DISTINCT FROM (SELECT a.version_id FROM stage_assignment a WHERE a.model_id = t.model_id
AND a.stage = '{stages.PRODUCTION}' AND a.valid_to IS NULL)))
ORDER BY t.expires_at LIMIT $1"""
STAGED_AT = "SELECT valid_from FROM stage_assignment WHERE version_id = $1 AND valid_to IS NULL"


@dataclass(frozen=True, slots=True)
class Stored:
    """A transition with the ids of its row, and what it depends on as that is now.

    `transition.state` is how it ended, or PENDING while it is open: see `service/asking.py`.
    """

    transition_id: int
    namespace_id: int
    model_id: int
    version_id: int
    assignment_id: int | None
    transition: transitions.Transition
    is_ready: bool
    stage: str
    production: names.VersionName | None

    def around(self, now: datetime.datetime) -> transitions.Surroundings:
        """What it depends on."""
        return transitions.Surroundings(now, self.is_ready, self.stage, self.production)


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be inserted."""

    version: version_rows.Stored
    transition: transitions.Transition
    replaces_id: int | None


@dataclass(frozen=True, slots=True)
class Within:
    """Whose transitions: of a namespace, of one model of it, of one version; or of some models."""

    namespace_id: int
    model_id: int | None = None
    version_id: int | None = None
    among: tuple[int, ...] | None = None


async def insert(connection: database.Connection, draft: Draft) -> None:
    """Insert a transition."""
    one = draft.transition
    await connection.execute(
        INSERT,
        one.name.transition,
        draft.version.namespace_id,
        draft.version.model_id,
        draft.version.version_id,
        one.origin,
        one.target,
        one.reason,
        one.requester,
        one.created_at,
        one.expires_at,
        draft.replaces_id,
    )


async def get(connection: database.Connection, name: names.TransitionName) -> Stored:
    """Read a transition with its verdicts, or raise `errors.NotFound`."""
    row = await connection.fetchrow(GET, *_key(name))
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return (await _with_verdicts(connection, [row]))[0]


async def lock(connection: database.Connection, name: names.TransitionName) -> Stored:
    """The same, and keep others from changing it; the caller has locked the model."""
    await connection.execute(LOCK, *_key(name))
    return await get(connection, name)


async def list_open(connection: database.Connection, version_id: int) -> list[Stored]:
    """A version's transitions that nobody has noted the end of."""
    return await _with_verdicts(connection, await connection.fetch(LIST_OPEN, version_id))


async def list_page(
    connection: database.Connection,
    within: Within,
    wanted: transitions.Filter,
    page: pages.PageRequest,
) -> pages.Page[Stored]:
    """A page of transitions, the last first; of open ones more than the states ask for."""
    asked = (
        int(page.after or _BEYOND_LAST),
        within.namespace_id,
        within.model_id,
        within.version_id,
        wanted.stage,
        not wanted.states or bool(wanted.states - _ENDED_BY_HAND),
        [state.value for state in wanted.states or transitions.ENDED],
        page.size + 1,
    )
    if within.among is None:
        rows = await connection.fetch(LIST, *asked)
    else:
        rows = await connection.fetch(LIST_SOME, *asked, within.among)
    stored = await _with_verdicts(connection, rows)
    return pages.page_of([(str(one.transition_id), one) for one in stored], page.size)


async def insert_verdict(
    connection: database.Connection, stored: Stored, verdict: transitions.Verdict
) -> None:
    """Append a verdict; the database refuses one by the requester."""
    await connection.execute(
        INSERT_VERDICT,
        stored.namespace_id,
        stored.transition_id,
        stored.transition.requester,
        verdict.approver,
        verdict.approved,
        verdict.comment,
        verdict.created_at,
        list(verdict.roles),
        list(verdict.groups),
    )


async def end(
    connection: database.Connection,
    stored: Stored,
    ending: transitions.Ending,
    assignment_id: int | None = None,
) -> None:
    """Note how a transition ended; the database refuses a second end."""
    await connection.execute(
        END,
        stored.transition_id,
        ending.state.value,
        ending.at,
        ending.actor,
        ending.reason,
        assignment_id,
    )


async def list_over(connection: database.Connection, limit: int) -> list[names.TransitionName]:
    """Open transitions that are over by themselves, those first that expired first."""
    rows = await connection.fetch(LIST_OVER, limit)
    return [_name(row) for row in rows]


async def staged_at(connection: database.Connection, version_id: int) -> datetime.datetime:
    """Since when a version stands where it stands."""
    instant: datetime.datetime = await connection.fetchval(STAGED_AT, version_id)
    return instant


async def with_reports(connection: database.Connection, stored: Stored) -> transitions.Transition:
    """A committed transition with what became of the gates at its commit."""
    if stored.assignment_id is None:
        return stored.transition
    found = await gate_rows.list_results(connection, [stored.assignment_id])
    return dataclasses.replace(stored.transition, report=found.get(stored.assignment_id))


async def _with_verdicts(
    connection: database.Connection, rows: Sequence[database.Row]
) -> list[Stored]:
    found: dict[int, list[transitions.Verdict]] = {row["transition_id"]: [] for row in rows}
    for row in await connection.fetch(LIST_VERDICTS, list(found)) if found else ():
        found[row["transition_id"]].append(_verdict(row))
    return [_stored(row, found[row["transition_id"]]) for row in rows]


def _verdict(row: database.Row) -> transitions.Verdict:
    return transitions.Verdict(
        approver=row["approver"],
        approved=row["approved"],
        comment=row["comment"],
        created_at=row["created_at"],
        roles=tuple(row["roles"]),
        groups=tuple(row["groups"]),
    )


def _stored(row: database.Row, verdicts: Collection[transitions.Verdict]) -> Stored:
    return Stored(
        transition_id=row["transition_id"],
        namespace_id=row["namespace_id"],
        model_id=row["model_id"],
        version_id=row["version_id"],
        assignment_id=row["assignment_id"],
        transition=_transition(row, tuple(verdicts)),
        is_ready=row["version_state"] == versions.VersionState.READY,
        stage=row["stage"],
        production=_sibling(row, row["production"]),
    )


def _transition(
    row: database.Row, verdicts: tuple[transitions.Verdict, ...]
) -> transitions.Transition:
    state = transitions.State(row["state"] or transitions.State.PENDING)
    ended = None
    if row["ended_at"]:
        ended = transitions.Ending(state, row["ended_at"], row["end_actor"], row["end_reason"])
    return transitions.Transition(
        name=_name(row),
        origin=row["origin"],
        target=row["target"],
        reason=row["reason"],
        requester=row["requester"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        replaces=_sibling(row, row["replaces"]),
        verdicts=verdicts,
        state=state,
        ended=ended,
    )


def _name(row: database.Row) -> names.TransitionName:
    version = names.VersionName(row["namespace"], row["model"], row["version"])
    return names.TransitionName(version, row["key"])


def _sibling(row: database.Row, version: str | None) -> names.VersionName | None:
    return names.VersionName(row["namespace"], row["model"], version) if version else None


def _key(name: names.TransitionName) -> tuple[str, str, str, str]:
    version = name.version
    return version.namespace, version.model, version.version, name.transition
