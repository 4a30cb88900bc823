"""Use cases of documents about versions: where one comes from, and what is in it."""

import json
from collections.abc import Mapping
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import bills, errors, evaluations, limits, names, pages
from modelkeep.domain import provenance as rules
from modelkeep.service import version_files
from modelkeep.storage import database
from modelkeep.storage import evaluations as evaluation_rows
from modelkeep.storage import versions as version_rows

_EVALUATIONS = pages.PageRequest(100)
"""The last so many stand in a bill."""


class Provenance:
    """Writes documents about sealed versions; equal knowledge gives equal bytes."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def statement(self, caller: callers.Caller, name: names.VersionName) -> str:
        """An in-toto statement with an SLSA provenance predicate, in JSON.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (VERSION_NOT_SEALED),
        `errors.ResourceExhausted` (DOCUMENT_TOO_LARGE).
        """
        policy.require(caller, policy.Action.READ_PROVENANCE, name)
        async with self._db.connection() as connection:
            made, _ = await _made(connection, name)
        return _written(rules.statement(made), name)

    async def bill(self, caller: callers.Caller, name: names.VersionName) -> str:
        """A bill of materials in CycloneDX 1.6, in JSON; raises as `statement` does."""
        policy.require(caller, policy.Action.READ_PROVENANCE, name)
        async with self._db.connection() as connection:
            made, version_id = await _made(connection, name)
            measured = await evaluation_rows.list_page(
                connection, version_id, evaluations.Filter(), _EVALUATIONS
            )
        return _written(bills.bill(made, [one for _, one in measured.entries]), name)


async def _made(connection: database.Connection, name: names.VersionName) -> tuple[rules.Made, int]:
    """The version with all there is to tell of it, and the id of its row."""
    stored = await version_rows.get(connection, name)
    rules.require_sealed(stored.version)
    files = await version_files.list_all(connection, stored.version_id)
    base_digest = await _base_digest(connection, stored)
    return rules.Made(stored.version, files, base_digest), stored.version_id


async def _base_digest(connection: database.Connection, stored: version_rows.Stored) -> str:
    """Manifest digest of the version it was made from; '' if none of its namespace."""
    version = stored.version
    if not version.content.base_version:
        return ""
    base = names.VersionName.parse(version.content.base_version)
    if base.namespace != version.name.namespace:
        return ""  # the document must not depend on who may look there
    return (await version_rows.get(connection, base)).version.manifest_digest


def _written(document: Mapping[str, Any], name: names.VersionName) -> str:
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
    if len(text.encode()) > limits.DOCUMENT_BYTES:
        raise errors.ResourceExhausted(
            f"what there is to tell of {name} takes more than {limits.DOCUMENT_BYTES:,} bytes: "
            "it has too many files with long paths",
            reason="DOCUMENT_TOO_LARGE",
        )
    return text
