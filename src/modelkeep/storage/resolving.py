"""Look-ups of a version by reference: one statement for each kind of selector.

Each has two forms: what holds now, and what held at an instant ($3).
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelkeep.domain import errors, refs, versions
from modelkeep.storage import codec, database, together
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows

_SELECT = f"SELECT {version_rows.WHOLE} FROM {version_rows.FROM}"
# As a value, not by a join: so Postgres knows that it is one model, and walks its index in order
# to the first that fits, where it would sort all versions of the model.
_MODEL_ID = """(SELECT k.model_id FROM model k JOIN namespace s ON s.namespace_id = k.namespace_id
WHERE s.name = $1 AND k.name = $2)"""
_MODEL = f"v.model_id = {_MODEL_ID}"
_NOW = "v.state = 'ready'"
_THEN = """v.finalized_at <= $3 AND (v.deleted_at IS NULL OR v.deleted_at > $3)
AND v.state IN ('ready', 'deleted', 'purged')"""
_HELD_THEN = "x.valid_from <= $3 AND (x.valid_to IS NULL OR x.valid_to > $3)"
_BY_SEMVER = "ORDER BY v.semver_key DESC, v.ordinal DESC LIMIT 1"
_BY_ORDINAL = "ORDER BY v.ordinal DESC LIMIT 1"

BY_VERSION = f"{_SELECT} WHERE {_MODEL} AND {_NOW} AND v.version = $3"
BY_VERSION_THEN = f"{_SELECT} WHERE {_MODEL} AND {_THEN} AND v.version = $4"
# Releases and pre-releases lie apart in the index: either are found at once, whatever the others.
_WITHIN = f"""SELECT w.version_id, w.semver_key, w.ordinal FROM version w
WHERE w.model_id = {_MODEL_ID} AND w.state = 'ready' AND w.semver_key >= $3 AND w.semver_key < $4"""
_NEWEST = "ORDER BY semver_key DESC, ordinal DESC LIMIT 1"
BY_RANGE = f"""{_SELECT} WHERE v.version_id = (SELECT version_id FROM (
({_WITHIN} AND NOT w.prerelease {_NEWEST})
UNION ALL ({_WITHIN} AND w.prerelease AND $5 {_NEWEST})) r {_NEWEST})"""
BY_RANGE_THEN = f"""{_SELECT} WHERE {_MODEL} AND {_THEN} AND v.semver_key >= $4
AND v.semver_key < $5 AND ($6 OR NOT v.prerelease) {_BY_SEMVER}"""
BY_ALIAS = f"""{_SELECT} JOIN alias_assignment x ON x.version_id = v.version_id
WHERE x.model_id = {_MODEL_ID} AND x.alias = $3 AND x.valid_to IS NULL
AND {_NOW}"""
BY_ALIAS_THEN = f"""{_SELECT} JOIN alias_assignment x ON x.version_id = v.version_id
WHERE x.model_id = {_MODEL_ID} AND x.alias = $4 AND {_HELD_THEN}
ORDER BY x.valid_from DESC, x.assignment_id DESC LIMIT 1"""
BY_STAGE = f"""{_SELECT} JOIN stage_assignment x ON x.version_id = v.version_id
WHERE x.model_id = {_MODEL_ID} AND x.stage = $3 AND x.valid_to IS NULL AND {_NOW}
ORDER BY x.valid_from DESC, x.assignment_id DESC LIMIT 1"""
BY_STAGE_THEN = f"""{_SELECT} JOIN stage_assignment x ON x.version_id = v.version_id
WHERE x.model_id = {_MODEL_ID} AND x.stage = $4 AND {_HELD_THEN} AND {_THEN}
ORDER BY x.valid_from DESC, x.assignment_id DESC LIMIT 1"""
BY_DIGEST = f"{_SELECT} WHERE {_MODEL} AND {_NOW} AND v.manifest_digest = $3 {_BY_ORDINAL}"
BY_DIGEST_THEN = f"{_SELECT} WHERE {_MODEL} AND {_THEN} AND v.manifest_digest = $4 {_BY_ORDINAL}"
BY_NUMBER = f"{_SELECT} WHERE {_MODEL} AND {_NOW} AND v.ordinal = $3"
BY_NUMBER_THEN = f"{_SELECT} WHERE {_MODEL} AND {_THEN} AND v.ordinal = $4"


@dataclass(frozen=True, slots=True)
class _Form:
    """The statements of one kind of selector, and the Postgres types of its own arguments."""

    now: str
    then: str
    types: tuple[str, ...]

    @property
    def many(self) -> str:
        """`now` for many references."""
        return together.for_many(self.now, ("text", "text", *self.types))


_FORMS = {
    refs.ByVersion: _Form(BY_VERSION, BY_VERSION_THEN, ("text",)),
    refs.ByRange: _Form(BY_RANGE, BY_RANGE_THEN, ("text", "text", "boolean")),
    refs.ByAlias: _Form(BY_ALIAS, BY_ALIAS_THEN, ("text",)),
    refs.ByStage: _Form(BY_STAGE, BY_STAGE_THEN, ("text",)),
    refs.ByDigest: _Form(BY_DIGEST, BY_DIGEST_THEN, ("bytea",)),
    refs.ByOrdinal: _Form(BY_NUMBER, BY_NUMBER_THEN, ("bigint",)),
}
MANY: Mapping[type[refs.Selector], str] = {kind: form.many for kind, form in _FORMS.items()}


async def resolve(
    connection: database.Connection, ref: refs.Ref, as_of: datetime.datetime | None
) -> versions.Version:
    """The sealed version a reference means, now or as of an instant, or `errors.NotFound`."""
    form = _FORMS[type(ref.selector)]
    place = (ref.model.namespace, ref.model.model)
    if as_of is None:
        row = await connection.fetchrow(form.now, *place, *_arguments(ref.selector))
    else:
        row = await connection.fetchrow(form.then, *place, as_of, *_arguments(ref.selector))
    if row is None:
        await model_rows.get(connection, ref.model)  # if there is no such model, says so
        raise errors.NotFound(f"no sealed version of {ref.model} matches", resource=ref.model)
    return version_rows.whole_from_row(row)


async def resolve_all(
    connection: database.Connection, wanted: Iterable[refs.Ref]
) -> dict[refs.Ref, versions.Version]:
    """The sealed versions that references mean now; those that mean none are left out."""
    found: dict[refs.Ref, versions.Version] = {}
    for kind, group in _by_kind(wanted).items():
        asked = [(r.model.namespace, r.model.model, *_arguments(r.selector)) for r in group]
        for row in await connection.fetch(MANY[kind], *zip(*asked, strict=True)):
            found[group[row["place"] - 1]] = version_rows.whole_from_row(row)
    return found


def _by_kind(wanted: Iterable[refs.Ref]) -> dict[type[refs.Selector], list[refs.Ref]]:
    groups: dict[type[refs.Selector], list[refs.Ref]] = {}
    for ref in wanted:
        groups.setdefault(type(ref.selector), []).append(ref)
    return groups


def _arguments(selector: refs.Selector) -> tuple[object, ...]:
    match selector:
        case refs.ByVersion(version):
            return (version,)
        case refs.ByRange(bounds):
            return bounds.lower, bounds.upper, bounds.prereleases
        case refs.ByAlias(alias):
            return (alias,)
        case refs.ByStage(stage):
            return (stage,)
        case refs.ByDigest(digest):
            return (codec.digest_bytes(digest),)
        case refs.ByOrdinal(ordinal):
            return (ordinal,)
