"""The reaper: removes what nobody will come back for, a little in each round, on any replica."""

import datetime
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from modelkeep.authz import caller as callers
from modelkeep.blobs import store
from modelkeep.domain import errors, garbage, names, sight
from modelkeep.service import changes, freeing, purging, repacking, transitions, upload_changes
from modelkeep.storage import database, holds
from modelkeep.storage import purging as purging_rows
from modelkeep.storage import reaping as rows
from modelkeep.storage import transitions as transition_rows
from modelkeep.storage import uploads as upload_rows

_log = structlog.get_logger()
_ONCE = changes.Once("", b"")


@dataclass(frozen=True, slots=True)
class Settings:
    """How long things stay, and how much one round does.

    Attributes:
        orphan_grace: how long an object stays that no row knows of.
        retention: how long the record of an upload stays that is over.
        answers_kept: how long the answer to a request_id can be had again.
        expired: most uploads that a round gives up.
        forgotten: most uploads whose records it deletes.
        listed: objects, or multipart uploads, in one page of the store's.
        pages: most pages of each that a round reads; the next round goes on behind them.
        repacked: most packs that it writes anew.
        purged: most deleted versions that a round purges.
        answers: most answers that a round forgets.
        transitions: most transitions that it notes as expired or stale.
        holds: most blobs that it lets go of.
    """

    orphan_grace: datetime.timedelta = garbage.ORPHAN_GRACE
    retention: datetime.timedelta = garbage.RETENTION
    answers_kept: datetime.timedelta = garbage.ANSWERS_KEPT
    expired: int = 100
    forgotten: int = 500
    listed: int = 1000
    pages: int = 10
    repacked: int = 20
    purged: int = 50
    answers: int = 5000
    transitions: int = 100
    holds: int = 5000


@dataclass(slots=True)
class Reaped:
    """What one round removed, and how many packs it wrote anew."""

    expired: int = 0
    forgotten: int = 0
    purged: int = 0
    answers: int = 0
    transitions: int = 0
    objects: int = 0
    multiparts: int = 0
    repacked: int = 0


class Reaper:
    """Gives up expired uploads, forgets old ones, removes objects that no row knows of.

    Several may run at once: every decision is taken under a lock or is the same twice.

    Attributes:
        total: what this one has removed since the start.
    """

    def __init__(
        self, db: database.Database, blobs: store.BlobStore, settings: Settings | None = None
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._settings = settings or Settings()
        self._changes = changes.Changes(db)
        self._repacking = repacking.Repacking(db, blobs)
        self._after = ""
        self._mark = ""
        self.total = Reaped()

    async def round(self) -> Reaped:
        """Do a little of everything; what fails is logged, and its turn comes again."""
        reaped = Reaped()
        await self._attempt(self._expire, reaped)
        await self._attempt(self._forget, reaped)
        await self._attempt(self._purge, reaped)
        await self._attempt(self._forget_answers, reaped)
        await self._attempt(self._let_go, reaped)
        await self._attempt(self._end_transitions, reaped)
        await self._attempt(self._sweep_objects, reaped)
        await self._attempt(self._sweep_multiparts, reaped)
        for name in _COUNTS:
            setattr(self.total, name, getattr(self.total, name) + getattr(reaped, name))
        if reaped != Reaped():
            _log.info("reaper.round", **{name: getattr(reaped, name) for name in _COUNTS})
        return reaped

    async def _attempt(self, duty: Callable[[Reaped], Awaitable[None]], reaped: Reaped) -> None:
        try:
            await duty(reaped)
        except errors.ModelkeepError as error:
            _log.warning("reaper.failed", duty=duty.__name__.strip("_"), error=error.message)

    async def _expire(self, reaped: Reaped) -> None:
        async with self._db.everywhere(sight.Work.REAP) as connection:
            expired = await rows.list_expired(connection, self._settings.expired)
        for name in expired:
            given_up = _Expiring(name)
            with sight.only(name.namespace):
                await self._changes.apply(
                    callers.reaper(), _ONCE, names.UploadName, given_up.carry_out
                )
            if given_up.stored is not None:
                reaped.expired += 1
                await freeing.free(self._blobs, given_up.stored)

    async def _forget(self, reaped: Reaped) -> None:
        """Delete old records, after a second look at what their uploads have in the store."""
        retention = self._settings.retention
        async with self._db.everywhere(sight.Work.REAP) as connection:
            old = await rows.list_finished(connection, retention, self._settings.forgotten)
        for name, leaves in old:
            if leaves:
                await self._free_again(name)
        async with self._db.everywhere(sight.Work.REAP) as connection:
            names_only = [name for name, _ in old]
            reaped.forgotten += await rows.forget(connection, names_only, retention)

    async def _free_again(self, name: names.UploadName) -> None:
        try:
            async with self._db.everywhere(sight.Work.REAP) as connection:
                stored = await upload_rows.get(connection, name)
        except errors.NotFound:
            return  # another replica was faster
        await freeing.free_leftovers(self._blobs, stored)

    async def _purge(self, reaped: Reaped) -> None:
        async with self._db.everywhere(sight.Work.REAP) as connection:
            due = await purging_rows.list_due(connection, self._settings.purged)
        for name in due:
            body = functools.partial(purging.purge_due, name)
            with sight.only(name.namespace):
                reaped.purged += await self._changes.apply(callers.reaper(), _ONCE, bool, body)

    async def _forget_answers(self, reaped: Reaped) -> None:
        async with self._db.everywhere(sight.Work.REAP) as connection:
            reaped.answers += await purging_rows.forget_answers(
                connection, self._settings.answers_kept, self._settings.answers
            )

    async def _let_go(self, _reaped: Reaped) -> None:
        """Hold no more what models needed that did not move after all."""
        async with self._db.everywhere(sight.Work.REAP) as connection:
            await holds.forget(connection, self._settings.holds)

    async def _end_transitions(self, reaped: Reaped) -> None:
        """Note which transitions expired or became stale, so that whoever waits for them hears."""
        async with self._db.everywhere(sight.Work.REAP) as connection:
            over = await transition_rows.list_over(connection, self._settings.transitions)
        for name in over:
            body = functools.partial(transitions.note_over, name)
            with sight.only(name.namespace):
                reaped.transitions += await self._changes.apply(callers.reaper(), _ONCE, bool, body)

    async def _sweep_objects(self, reaped: Reaped) -> None:
        for _ in range(self._settings.pages):
            page = await self._blobs.list_page(
                upload_changes.KEY_PREFIX, self._after, self._settings.listed
            )
            self._after = page[-1].key if len(page) == self._settings.listed else ""
            old = [found.key for found in page if self._is_old(found.modified_at)]
            for key in await self._orphans(old):
                await self._blobs.delete(key)
                reaped.objects += 1
                _log.info("object.reaped", key=key)
            room = self._settings.repacked - reaped.repacked
            reaped.repacked += await self._repacking.repack([one.key for one in page], room)
            if not self._after:
                return

    async def _orphans(self, keys: list[str]) -> list[str]:
        if not keys:
            return []
        async with self._db.everywhere(sight.Work.REAP) as connection:
            return await rows.find_orphans(connection, keys, self._settings.orphan_grace)

    async def _sweep_multiparts(self, reaped: Reaped) -> None:
        for _ in range(self._settings.pages):
            # Without a prefix, because not every store knows one; the statement looks at the keys.
            page = await self._blobs.list_multiparts("", self._mark, self._settings.listed)
            self._mark = page.mark
            old = [one for one in page.entries if self._is_old(one.started_at)]
            for key, multipart_id in await self._stray(old):
                await self._blobs.abort_multipart(key, multipart_id)
                reaped.multiparts += 1
                _log.info("multipart.reaped", key=key, multipart_id=multipart_id)
            if not self._mark:
                return

    async def _stray(self, listed: list[store.OpenMultipart]) -> list[tuple[str, str]]:
        if not listed:
            return []
        async with self._db.everywhere(sight.Work.REAP) as connection:
            return await rows.find_stray_multiparts(
                connection, [(one.key, one.multipart_id) for one in listed]
            )

    def _is_old(self, instant: datetime.datetime | None) -> bool:
        """Whether that was so long ago that a row would be there; False where it is not known."""
        now = datetime.datetime.now(datetime.UTC)
        return instant is not None and now - instant >= self._settings.orphan_grace


_COUNTS = (
    "expired",
    "forgotten",
    "purged",
    "answers",
    "transitions",
    "objects",
    "multiparts",
    "repacked",
)


class _Expiring:
    """The body of the transaction; `stored` is the upload, if it was given up."""

    def __init__(self, name: names.UploadName) -> None:
        self._name = name
        self.stored: upload_rows.Stored | None = None

    async def carry_out(self, change: changes.Change) -> names.UploadName:
        self.stored = await upload_changes.expire(self._name, change)
        return self._name
