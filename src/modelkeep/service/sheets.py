"""Use case: the deployment sheet of a version."""

import json
import shlex

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import (
    errors,
    evaluations,
    lineage,
    names,
    pages,
    refs,
    sheet_markdown,
    sheets,
    versions,
)
from modelkeep.domain import sheet_sections as sections
from modelkeep.service import sheet_places, sheet_promotions, sheet_signatures
from modelkeep.storage import codec, database, resolving
from modelkeep.storage import evaluations as evaluation_rows
from modelkeep.storage import facts as fact_rows
from modelkeep.storage import lineage as lineage_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows

_ELSEWHERE = frozenset({lineage.Kind.DATASET, lineage.Kind.CODE})
_SEALED = frozenset({versions.VersionState.READY, versions.VersionState.QUARANTINED})


class Sheets:
    """Makes deployment sheets of what is recorded; reads only."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def get(
        self, caller: callers.Caller, ref: refs.Ref, *, as_json: bool
    ) -> tuple[names.VersionName, str]:
        """The version a reference means, and its sheet as Markdown or JSON.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (not sealed).
        """
        policy.require(caller, policy.Action.READ_VERSION, ref.model)
        policy.require(caller, policy.Action.READ_DEPLOYMENT, ref.model)
        async with self._db.transaction() as connection:
            stored = await _find(connection, ref)
            for most in sheets.ROWS:
                content = _written(await _sheet(connection, stored, most), as_json=as_json)
                if len(content.encode()) <= sheets.BYTES:
                    return stored.version.name, content
        raise errors.ResourceExhausted(
            f"the sheet of {stored.version.name} would be larger than {sheets.BYTES:,} bytes",
            reason="SHEET_TOO_LARGE",
        )


def _written(sheet: sheets.Sheet, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(codec.plain(sheet), indent=2) + "\n"
    return sheet_markdown.render(sheet)


async def _find(connection: database.Connection, ref: refs.Ref) -> version_rows.Stored:
    if isinstance(ref.selector, refs.ByVersion):
        name = names.VersionName(ref.model.namespace, ref.model.model, ref.selector.version)
    else:
        name = (await resolving.resolve(connection, ref, None)).name
    stored = await version_rows.get(connection, name)
    if stored.version.state not in _SEALED:
        raise errors.FailedPrecondition(
            f"{name} is {stored.version.state}; only a sealed version has a sheet",
            reason="VERSION_NOT_SEALED",
            state=stored.version.state,
        )
    return stored


async def _sheet(
    connection: database.Connection, stored: version_rows.Stored, most: int
) -> sheets.Sheet:
    version = stored.version
    content = version.content
    signatures = await sheet_signatures.listed(connection, stored, most)
    model = (await model_rows.get(connection, version.name.parent)).model
    return sheets.Sheet(
        identity=sections.identity(version, model, most),
        warnings=tuple(warning.description for warning in version.warnings),
        files=await _files(connection, stored, most),
        weights=sections.weights(content.spec, most),
        prompt=sections.prompt(content.spec, most),
        dependencies=sections.dependencies(content.spec, most),
        hardware=sections.hardware(version, most),
        datasets=sections.datasets(content, most),
        source=sections.source(content),
        reported_metrics=sections.reported(content, most),
        evaluations=await _evaluations(connection, stored, most),
        promotion=await sheet_promotions.promotion(connection, stored),
        limitations=sections.limitations(version),
        lineage=await _origins(connection, stored, most),
        signatures=signatures,
        fetch=_fetch(version, is_signed=bool(signatures.entries)),
        deployments=await sheet_places.running(connection, stored, most),
    )


async def _files(
    connection: database.Connection, stored: version_rows.Stored, most: int
) -> sheets.Listed[sheets.File]:
    page = await fact_rows.list_page(connection, stored.version_id, pages.PageRequest(most))
    found = tuple(sections.file(entry) for _, entry in page.entries)
    return sheets.Listed(found, stored.version.file_count - len(found))


async def _evaluations(
    connection: database.Connection, stored: version_rows.Stored, most: int
) -> sheets.Listed[sheets.Evaluation]:
    """Those that nothing supersedes, by dataset, suite and time, the last run first."""
    page = await evaluation_rows.list_page(
        connection,
        stored.version_id,
        evaluations.Filter(),
        pages.PageRequest(sheets.ROWS[0]),
    )
    found = [sections.evaluation(entry, most) for _, entry in page.entries]
    found.sort(key=lambda one: (one.run_at, one.name), reverse=True)
    found.sort(key=lambda one: (one.dataset, one.suite))
    return sheets.listed(found, most)


async def _origins(
    connection: database.Connection, stored: version_rows.Stored, most: int
) -> sheets.Listed[sheets.Origin]:
    """What it was made from, one step away; datasets and code stand elsewhere on the sheet."""
    node = lineage.Node(lineage.Kind.VERSION, str(stored.version.name))
    place = lineage_rows.Place(node, stored.namespace_id, stored.version_id)
    start = await lineage_rows.find(connection, place, 1)
    edges = await lineage_rows.list_edges(connection, start, sheets.ROWS[0] + 1, down=False)
    nodes = await lineage_rows.list_nodes(connection, {edge["source_id"] for edge in edges})
    found = []
    for edge in edges:
        origin, standing = nodes[edge["source_id"]]
        if origin.kind not in _ELSEWHERE:
            state = f"{standing.state} in {standing.stage}" if standing else ""
            name = sections.short(origin.version) if origin.version else sheets.cut(origin.name)
            found.append(
                sheets.Origin(origin.kind.value, name, origin.revision, edge["relation"], state)
            )
    found.sort(key=lambda one: (one.kind, one.name, one.revision, one.relation))
    return sheets.listed(found, most)


def _fetch(version: versions.Version, *, is_signed: bool) -> tuple[str, ...]:
    """Commands that fetch exactly these bytes and prove that they are."""
    name = version.name
    exact = shlex.quote(f"{name.namespace}/{name.model}@{version.manifest_digest}")
    ref = shlex.quote(sections.short(name))
    proof = (
        "# Whoever signed it is trusted in the namespace.",
        f"modelkeep verify {ref} --trusted",
    )
    return (
        "# Each file is checked by its digest, and their list by the manifest's.",
        f"modelkeep pull {exact} {shlex.quote(f'./{name.model}-{name.version}')}",
        "# The server re-reads what it stored.",
        f"modelkeep verify {ref}",
        *(proof if is_signed else ()),
    )
