"""Rows of facts: what is inside the namespace's blobs."""

import json
from collections.abc import Sequence

from modelkeep.domain import inspections, pages
from modelkeep.domain.formats import facts
from modelkeep.storage import codec, database
from modelkeep.storage import files as file_rows

FIND_UNKNOWN = f"""
SELECT {file_rows.BLOB} FROM blob b
LEFT JOIN blob_facts f ON f.namespace_id = b.namespace_id AND f.digest = b.digest AND f.rules >= $3
WHERE b.namespace_id = $1 AND b.digest = ANY($2::bytea[]) AND b.rotten_at IS NULL
AND f.digest IS NULL"""
FIND_PICKLES = """
SELECT digest, CASE WHEN pickle_verdict <> 'none' THEN facts END AS facts FROM blob_facts
WHERE namespace_id = $1 AND digest = ANY($2::bytea[]) AND rules >= $3"""
# The blobs are held: none can be collected between this statement's look at it and its end. They
# come in one order, so that two who find the same never wait for each other in a ring.
INSERT = """
INSERT INTO blob_facts (namespace_id, digest, rules, format, tensor_count, parameter_count, dtypes,
architecture, quantisation, opset, pickle_verdict, facts)
SELECT $1, digest, $3, format, tensor_count, parameter_count,
ARRAY(SELECT json_array_elements_text(dtypes)), architecture, quantisation, opset, pickle_verdict,
facts FROM (
    SELECT found.* FROM unnest($2::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::json[],
        $8::text[], $9::text[], $10::bigint[], $11::text[], $12::json[])
    AS found (digest, format, tensor_count, parameter_count, dtypes, architecture, quantisation,
        opset, pickle_verdict, facts)
    ORDER BY found.digest) AS found
CROSS JOIN LATERAL (
    SELECT FROM blob b WHERE b.namespace_id = $1 AND b.digest = found.digest FOR KEY SHARE) AS held
ON CONFLICT (namespace_id, digest) DO UPDATE SET rules = EXCLUDED.rules, format = EXCLUDED.format,
tensor_count = EXCLUDED.tensor_count, parameter_count = EXCLUDED.parameter_count,
dtypes = EXCLUDED.dtypes, architecture = EXCLUDED.architecture,
quantisation = EXCLUDED.quantisation, opset = EXCLUDED.opset,
pickle_verdict = EXCLUDED.pickle_verdict, facts = EXCLUDED.facts, inspected_at = now()
WHERE blob_facts.rules < EXCLUDED.rules"""
LIST = """
SELECT f.path, f.digest, f.size_bytes, f.media_type, x.facts FROM version_file f
LEFT JOIN blob_facts x ON x.namespace_id = f.namespace_id AND x.digest = f.digest
WHERE f.version_id = $1 AND f.path > $2 ORDER BY f.path LIMIT $3"""


async def find_unknown(
    connection: database.Connection, namespace_id: int, digests: Sequence[str]
) -> list[file_rows.StoredBlob]:
    """Those of the digests that the namespace holds and that nobody inspected by these rules."""
    wanted = [codec.digest_bytes(digest) for digest in digests]
    rows = await connection.fetch(FIND_UNKNOWN, namespace_id, wanted, facts.RULES)
    return [file_rows.blob_from_row(row) for row in rows]


async def find_pickles(
    connection: database.Connection, namespace_id: int, digests: Sequence[str]
) -> dict[str, facts.PickleFacts]:
    """What the pickles of these blobs would do, by digest; without those nobody inspected."""
    wanted = [codec.digest_bytes(digest) for digest in digests]
    rows = await connection.fetch(FIND_PICKLES, namespace_id, wanted, facts.RULES)
    return {codec.digest_text(row["digest"]): _pickle_from_row(row) for row in rows}


async def insert_all(
    connection: database.Connection, namespace_id: int, found: Sequence[tuple[str, facts.Facts]]
) -> None:
    """Keep what was found, by digest, each once; blobs that are gone are left out."""
    if not found:
        return
    digests, *columns = zip(*(_row(digest, fact) for digest, fact in found), strict=True)
    await connection.execute(INSERT, namespace_id, digests, facts.RULES, *columns)


async def list_page(
    connection: database.Connection, version_id: int, page: pages.PageRequest
) -> pages.Page[inspections.InspectedFile]:
    """A page of a version's files by the bytes of their path, with what is inside them."""
    rows = await connection.fetch(LIST, version_id, page.after, page.size + 1)
    return pages.page_of([(row["path"], _file_from_row(row)) for row in rows], page.size)


def _row(digest: str, found: facts.Facts) -> tuple[object, ...]:
    return (
        codec.digest_bytes(digest),
        found.format,
        found.tensor_count,
        found.parameter_count,
        json.dumps(found.dtypes),
        found.architecture,
        found.quantisation,
        found.opset,
        found.pickle.verdict,
        codec.dump(found),
    )


def _pickle_from_row(row: database.Row) -> facts.PickleFacts:
    text = row["facts"]
    return facts.PickleFacts() if text is None else codec.load(facts.Facts, text).pickle


def _file_from_row(row: database.Row) -> inspections.InspectedFile:
    text = row["facts"]
    return inspections.InspectedFile(
        file_rows.file_from_row(row), None if text is None else codec.load(facts.Facts, text)
    )
