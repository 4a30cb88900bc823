"""The hot reads of whole versions, gathered: by name, and what a reference means now."""

import datetime

from modelkeep.domain import errors, names, refs, versions
from modelkeep.storage import database, gathering, resolving
from modelkeep.storage import versions as rows

GET_MANY = gathering.many(rows.GET)
BY_VERSION_MANY = gathering.many(resolving.BY_VERSION)
BY_ALIAS_MANY = gathering.many(resolving.BY_ALIAS)
BY_STAGE_MANY = gathering.many(resolving.BY_STAGE, last="")


class Lookups:
    """Reads versions; calls at the same time share statements."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._by_name = _gathered(db, rows.GET, GET_MANY)
        self._by_version = _gathered(db, resolving.BY_VERSION, BY_VERSION_MANY)
        self._by_alias = _gathered(db, resolving.BY_ALIAS, BY_ALIAS_MANY)
        self._by_stage = _gathered(db, resolving.BY_STAGE, BY_STAGE_MANY)

    async def get(self, name: names.VersionName) -> versions.Version:
        """Read a version, deleted or not, or raise `errors.NotFound`."""
        found = await self._by_name.find((name.namespace, name.model, name.version))
        if found is None:
            raise errors.NotFound(f"{name} does not exist", resource=name)
        return found

    async def resolve(self, ref: refs.Ref, as_of: datetime.datetime | None) -> versions.Version:
        """The sealed version a reference means, now or as of an instant, or `errors.NotFound`."""
        if as_of is None and (found := await self._find_now(ref)) is not None:
            return found
        async with self._db.connection() as connection:
            return await resolving.resolve(connection, ref, as_of)

    async def _find_now(self, ref: refs.Ref) -> versions.Version | None:
        place = (ref.model.namespace, ref.model.model)
        match ref.selector:
            case refs.ByVersion(version):
                return await self._by_version.find((*place, version))
            case refs.ByAlias(alias):
                return await self._by_alias.find((*place, alias))
            case refs.ByStage(stage):
                return await self._by_stage.find((*place, stage))
            case _:
                return None


def _gathered(
    db: database.Database, one: str, several: str
) -> gathering.Gathered[versions.Version]:
    return gathering.Gathered(db, one, several, rows.whole_from_row)
