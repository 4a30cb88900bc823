"""Rows of evaluations, and the rows by which search finds what they measured."""

import array
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelkeep.domain import errors, evaluations, names, pages
from modelkeep.storage import codec, database
from modelkeep.storage import versions as version_rows

_BEYOND_LAST = 2**63 - 1

_HEAD = """e.evaluation_id, e.version_id, n.name AS namespace, m.name AS model, v.version, e.key,
e.dataset_name, e.dataset_revision, e.dataset_digest, e.suite, e.evaluator, e.run_at, e.note,
e.actor, e.created_at, e.metric_count,
(SELECT o.key FROM evaluation o WHERE o.evaluation_id = e.supersedes_id) AS supersedes,
(SELECT o.key FROM evaluation o WHERE o.supersedes_id = e.evaluation_id) AS superseded_by"""
_FROM = """evaluation e JOIN version v ON v.version_id = e.version_id
JOIN model m ON m.model_id = e.model_id JOIN namespace n ON n.namespace_id = e.namespace_id"""

INSERT = """
INSERT INTO evaluation (key, namespace_id, model_id, version_id, dataset_name, dataset_revision,
dataset_digest, suite, evaluator, run_at, note, actor, metric_count, supersedes_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
RETURNING evaluation_id, created_at"""
INSERT_METRICS = """
INSERT INTO evaluation_metric (evaluation_id, position, name, slice, value, direction, unit,
sample_count, standard_error, ci_low, ci_high, ci_level, is_proportion, examples, scores)
SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::text[],
$8::bigint[], $9::float8[], $10::float8[], $11::float8[], $12::float8[], $13::bool[], $14::bytea[],
$15::bytea[])"""
SUPERSEDE = """
UPDATE evaluation SET superseded_at = now() WHERE evaluation_id = $1 AND superseded_at IS NULL
RETURNING evaluation_id"""
GET = f"""SELECT {_HEAD} FROM {_FROM}
WHERE n.name = $1 AND m.name = $2 AND v.version = $3 AND e.key = $4"""
LIST_LIKE = f"""SELECT {_HEAD} FROM {_FROM}
WHERE e.version_id = $1 AND e.run_at = $2 AND e.suite = $3 AND e.evaluator = $4
AND e.dataset_name = $5 AND e.dataset_revision = $6 AND e.dataset_digest IS NOT DISTINCT FROM $7
AND e.note = $8 AND e.metric_count = $9 AND e.supersedes_id IS NOT DISTINCT FROM $10
ORDER BY e.evaluation_id"""
LIST = f"""SELECT {_HEAD} FROM {_FROM}
WHERE e.version_id = $1 AND e.evaluation_id < $2 AND ($4 = '' OR e.dataset_name = $4)
AND ($5 = '' OR e.dataset_revision = $5) AND ($6 = '' OR e.suite = $6)
AND ($7 OR e.superseded_at IS NULL)
ORDER BY e.evaluation_id DESC LIMIT $3"""
LIST_METRICS = """
SELECT evaluation_id, name, slice, value, direction, unit, sample_count, standard_error, ci_low,
ci_high, ci_level, is_proportion, examples, CASE WHEN $3 THEN scores END AS scores
FROM evaluation_metric WHERE evaluation_id = ANY($1::bigint[]) AND ($2 OR slice = '')
ORDER BY evaluation_id, position"""
LIST_NAMED_METRICS = """
SELECT evaluation_id, name, slice, value, direction, unit, sample_count, standard_error, ci_low,
ci_high, ci_level, is_proportion, examples, scores
FROM evaluation_metric WHERE evaluation_id = ANY($1::bigint[]) AND name = ANY($2::text[])
ORDER BY evaluation_id, position"""
# Of each version, suite, revision, digest and evaluator the last run.
LIST_CURRENT = f"""SELECT * FROM (
SELECT DISTINCT ON (e.version_id, e.suite, e.dataset_revision, e.evaluator, e.dataset_digest)
{_HEAD} FROM {_FROM}
WHERE e.version_id = ANY($1::bigint[]) AND e.dataset_name = $2 AND e.superseded_at IS NULL
ORDER BY e.version_id, e.suite, e.dataset_revision, e.evaluator, e.dataset_digest, e.run_at DESC,
e.evaluation_id DESC) current ORDER BY version_id, run_at DESC LIMIT 1000"""
LIST_DIRECTIONS = """
SELECT DISTINCT g.name, g.direction FROM evaluation e
JOIN evaluation_metric g ON g.evaluation_id = e.evaluation_id
WHERE e.model_id = $1 AND e.suite = $2 AND e.superseded_at IS NULL
AND e.evaluation_id IS DISTINCT FROM $3 AND g.name = ANY($4::text[])"""
FORGET_FOUND = """
DELETE FROM version_metric WHERE version_id = $1 AND source = 'evaluated' AND dataset = $2"""
MAKE_FOUND = """
INSERT INTO version_metric (version_id, namespace_id, model_id, name, value, source, dataset,
slice, direction, sample_count, ci_low, ci_high)
SELECT DISTINCT ON (g.name, g.slice) e.version_id, e.namespace_id, e.model_id, g.name, g.value,
'evaluated', e.dataset_name || '@' || e.dataset_revision, g.slice, g.direction, g.sample_count,
g.ci_low, g.ci_high
FROM evaluation e JOIN evaluation_metric g ON g.evaluation_id = e.evaluation_id
WHERE e.version_id = $1 AND e.dataset_name = $2 AND e.dataset_revision = $3
AND e.superseded_at IS NULL
ORDER BY g.name, g.slice, e.run_at DESC, e.evaluation_id DESC"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An evaluation with the id of its row."""

    evaluation_id: int
    version_id: int
    evaluation: evaluations.Evaluation


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be inserted: of which version, under which key, by whom, for which other one."""

    version: version_rows.Stored
    key: str
    report: evaluations.Report
    actor: str
    supersedes: Stored | None


async def insert(connection: database.Connection, draft: Draft) -> evaluations.Evaluation:
    """Insert an evaluation with its metrics, and let search find them."""
    report, dataset = draft.report, draft.report.dataset
    row = await connection.fetchrow(
        INSERT,
        draft.key,
        draft.version.namespace_id,
        draft.version.model_id,
        draft.version.version_id,
        dataset.name,
        dataset.revision,
        _digest(dataset),
        report.suite,
        report.evaluator,
        report.run_at,
        report.note,
        draft.actor,
        len(report.figures),
        draft.supersedes.evaluation_id if draft.supersedes else None,
    )
    assert row is not None  # noqa: S101 - it returns what it inserts
    await connection.execute(INSERT_METRICS, row["evaluation_id"], *_columns(report.figures))
    await _make_found(connection, draft.version.version_id, dataset)
    return evaluations.Evaluation(
        name=names.EvaluationName(draft.version.version.name, draft.key),
        dataset=dataset,
        suite=report.suite,
        evaluator=report.evaluator,
        run_at=report.run_at,
        metrics=tuple(figure.metric for figure in report.figures),
        metric_count=len(report.figures),
        note=report.note,
        actor=draft.actor,
        created_at=row["created_at"],
        supersedes=draft.supersedes.evaluation.name if draft.supersedes else None,
    )


def _digest(dataset: evaluations.Dataset) -> bytes | None:
    return codec.digest_bytes(dataset.digest) if dataset.digest else None


def _columns(figures: Sequence[evaluations.Scored]) -> list[list[object]]:
    metrics = [figure.metric for figure in figures]
    return [
        list(range(len(figures))),
        [m.name for m in metrics],
        [m.slice for m in metrics],
        [m.value for m in metrics],
        [m.direction.value for m in metrics],
        [m.unit for m in metrics],
        [m.sample_count for m in metrics],
        [m.standard_error for m in metrics],
        [m.ci_low for m in metrics],
        [m.ci_high for m in metrics],
        [m.ci_level for m in metrics],
        [m.is_proportion for m in metrics],
        [codec.digest_bytes(m.examples) if m.examples else None for m in metrics],
        [_packed(figure.scores) if figure.scores else None for figure in figures],
    ]


async def supersede(connection: database.Connection, old: Stored) -> bool:
    """Note that another evaluation stands in for this one; False if one does already."""
    if await connection.fetchval(SUPERSEDE, old.evaluation_id) is None:
        return False
    await _make_found(connection, old.version_id, old.evaluation.dataset)
    return True


async def _make_found(
    connection: database.Connection, version_id: int, dataset: evaluations.Dataset
) -> None:
    """Make anew what search finds of a version on a dataset; its version must be locked."""
    await connection.execute(FORGET_FOUND, version_id, str(dataset))
    await connection.execute(MAKE_FOUND, version_id, dataset.name, dataset.revision)


async def get(connection: database.Connection, name: names.EvaluationName) -> Stored:
    """Read an evaluation with all metrics, or raise `errors.NotFound`."""
    version = name.version
    row = await connection.fetchrow(
        GET, version.namespace, version.model, version.version, name.evaluation
    )
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return (await _with_metrics(connection, [row], slices=True))[0]


async def find_same(
    connection: database.Connection,
    version_id: int,
    report: evaluations.Report,
    supersedes: Stored | None,
) -> evaluations.Evaluation | None:
    """The evaluation of a version that says just this, corrected or not; the first recorded."""
    rows = await connection.fetch(
        LIST_LIKE,
        version_id,
        report.run_at,
        report.suite,
        report.evaluator,
        report.dataset.name,
        report.dataset.revision,
        _digest(report.dataset),
        report.note,
        len(report.figures),
        supersedes.evaluation_id if supersedes else None,
    )
    figures = await list_figures(connection, [row["evaluation_id"] for row in rows])
    for row in rows:
        found = figures[row["evaluation_id"]]
        if tuple(found) == report.figures:
            return _stored(row, tuple(figure.metric for figure in found)).evaluation
    return None


async def list_page(
    connection: database.Connection,
    version_id: int,
    wanted: evaluations.Filter,
    page: pages.PageRequest,
) -> pages.Page[evaluations.Evaluation]:
    """A page of a version's evaluations, the last recorded first, with metrics of all examples."""
    rows = await connection.fetch(
        LIST,
        version_id,
        int(page.after or _BEYOND_LAST),
        page.size + 1,
        wanted.dataset,
        wanted.revision,
        wanted.suite,
        wanted.superseded,
    )
    stored = await _with_metrics(connection, rows, slices=False)
    return pages.page_of([(str(one.evaluation_id), one.evaluation) for one in stored], page.size)


async def list_current(
    connection: database.Connection, version_ids: Collection[int], dataset: str
) -> list[Stored]:
    """Evaluations of versions on any revision of a dataset that count, without metrics."""
    rows = await connection.fetch(LIST_CURRENT, list(version_ids), dataset)
    return [_stored(row, ()) for row in rows]


async def list_figures(
    connection: database.Connection, evaluation_ids: Collection[int]
) -> dict[int, list[evaluations.Scored]]:
    """All figures of evaluations with the scores that are kept of them."""
    return _figures(
        evaluation_ids, await connection.fetch(LIST_METRICS, list(evaluation_ids), True, True)
    )


async def list_named_figures(
    connection: database.Connection, evaluation_ids: Collection[int], metrics: Collection[str]
) -> dict[int, list[evaluations.Scored]]:
    """Figures of evaluations in these metrics only, with the scores that are kept of them."""
    ids = list(evaluation_ids)
    return _figures(ids, await connection.fetch(LIST_NAMED_METRICS, ids, list(metrics)))


def _figures(
    evaluation_ids: Collection[int], rows: Sequence[database.Row]
) -> dict[int, list[evaluations.Scored]]:
    figures: dict[int, list[evaluations.Scored]] = {number: [] for number in evaluation_ids}
    for row in rows:
        scores = _unpacked(row["scores"]) if row["scores"] else ()
        figures[row["evaluation_id"]].append(evaluations.Scored(_metric(row), scores))
    return figures


async def directions(
    connection: database.Connection,
    model_id: int,
    report: evaluations.Report,
    but: Stored | None,
) -> dict[str, evaluations.Direction]:
    """Which way the report's metrics get better in the model's other evaluations by its suite."""
    wanted = {figure.metric.name for figure in report.figures}
    excluded = but.evaluation_id if but else None
    rows = await connection.fetch(LIST_DIRECTIONS, model_id, report.suite, excluded, list(wanted))
    return {row["name"]: evaluations.Direction(row["direction"]) for row in rows}


async def _with_metrics(
    connection: database.Connection, rows: Sequence[database.Row], *, slices: bool
) -> list[Stored]:
    found: dict[int, list[evaluations.Metric]] = {row["evaluation_id"]: [] for row in rows}
    for row in await connection.fetch(LIST_METRICS, list(found), slices, False):
        found[row["evaluation_id"]].append(_metric(row))
    return [_stored(row, tuple(found[row["evaluation_id"]])) for row in rows]


def _stored(row: database.Row, metrics: tuple[evaluations.Metric, ...]) -> Stored:
    version = names.VersionName(row["namespace"], row["model"], row["version"])
    evaluation = evaluations.Evaluation(
        name=names.EvaluationName(version, row["key"]),
        dataset=evaluations.Dataset(
            row["dataset_name"],
            row["dataset_revision"],
            codec.digest_text(row["dataset_digest"]),
        ),
        suite=row["suite"],
        evaluator=row["evaluator"],
        run_at=row["run_at"],
        metrics=metrics,
        metric_count=row["metric_count"],
        note=row["note"],
        actor=row["actor"],
        created_at=row["created_at"],
        supersedes=_sibling(version, row["supersedes"]),
        superseded_by=_sibling(version, row["superseded_by"]),
    )
    return Stored(row["evaluation_id"], row["version_id"], evaluation)


def _sibling(version: names.VersionName, key: str | None) -> names.EvaluationName | None:
    return names.EvaluationName(version, key) if key else None


def _metric(row: database.Row) -> evaluations.Metric:
    return evaluations.Metric(
        name=row["name"],
        value=row["value"],
        direction=evaluations.Direction(row["direction"]),
        slice=row["slice"],
        unit=row["unit"],
        sample_count=row["sample_count"],
        standard_error=row["standard_error"],
        ci_low=row["ci_low"],
        ci_high=row["ci_high"],
        ci_level=row["ci_level"],
        is_proportion=row["is_proportion"],
        examples=codec.digest_text(row["examples"]),
    )


def _packed(scores: Sequence[float]) -> bytes:
    """Eight bytes each, the least significant first."""
    return _little(array.array("d", scores)).tobytes()


def _unpacked(packed: bytes) -> tuple[float, ...]:
    return tuple(_little(array.array("d", packed)))


def _little(values: "array.array[float]") -> "array.array[float]":
    if sys.byteorder == "big":
        values.byteswap()
    return values
