"""Use case: proving that the store still has a version as it was pushed."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, names, soundness, versions
from modelkeep.service import rereading
from modelkeep.service import soundness as finding
from modelkeep.storage import database, rot
from modelkeep.storage import versions as version_rows

AT_ONCE = 2
"""Blobs re-read at the same time, over all calls to this process: transfers come first."""
_PROGRESS_EVERY_S = 0.5
_SEALED = frozenset({versions.VersionState.READY, versions.VersionState.QUARANTINED})


class VersionChecks:
    """Re-reads versions on demand."""

    def __init__(self, db: database.Database, rereader: rereading.Rereader) -> None:
        self._db = db
        self._rereader = rereader
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def verify(
        self, caller: callers.Caller, name: names.VersionName
    ) -> AsyncGenerator[soundness.Rereading, None]:
        """Yield a result for each file of a sealed version, and now and then how far it is.

        What is wrong is told to the scrub too, which looks again and acts. Raises
        `errors.NotFound`, `errors.FailedPrecondition` (a draft, or deleted), `errors.Unavailable`.
        """
        policy.require(caller, policy.Action.VERIFY_VERSION, name)
        check = _Check(self._db, self._rereader, self._slots, name, await self._files(name))
        async with contextlib.aclosing(check.run()) as told:
            async for each in told:
                yield each

    async def _files(self, name: names.VersionName) -> Sequence[rot.HeldFile]:
        async with self._db.connection() as connection:
            stored = await version_rows.get(connection, name)
            if stored.version.state not in _SEALED:
                raise errors.FailedPrecondition(
                    f"{name} is {stored.version.state}; only a sealed version can be verified",
                    reason="VERSION_NOT_SEALED",
                    state=stored.version.state,
                )
            return await rot.list_files(connection, stored.version_id)


class _Check:
    """One re-reading; files with the same bytes are read once."""

    def __init__(
        self,
        db: database.Database,
        rereader: rereading.Rereader,
        slots: asyncio.Semaphore,
        name: names.VersionName,
        files: Sequence[rot.HeldFile],
    ) -> None:
        self._db = db
        self._rereader = rereader
        self._slots = slots
        self._name = name
        ordered = sorted(files, key=lambda held: held.blob.digest)
        same = itertools.groupby(ordered, key=lambda held: held.blob.digest)
        self._groups = sorted((list(group) for _, group in same), key=lambda g: g[0].file.path)
        self._found: asyncio.Queue[soundness.FileResult | None] = asyncio.Queue()
        self._checked_bytes = 0
        self._total_files = len(files)
        self._total_bytes = sum(group[0].blob.size_bytes for group in self._groups)

    async def run(self) -> AsyncGenerator[soundness.Rereading, None]:
        """Yield results and progress; closing it stops the reading."""
        working = asyncio.create_task(self._work())
        try:
            yield self._told(None)
            ended = False
            while not ended:
                try:
                    async with asyncio.timeout(_PROGRESS_EVERY_S):
                        result = await self._found.get()
                    ended = result is None
                except TimeoutError:
                    result = None
                if not ended:
                    yield self._told(result)
            await working
        finally:
            working.cancel()
            await asyncio.wait([working])

    def _told(self, result: soundness.FileResult | None) -> soundness.Rereading:
        return soundness.Rereading(
            self._checked_bytes, self._total_bytes, self._total_files, result
        )

    async def _work(self) -> None:
        waiting = iter(self._groups)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(AT_ONCE):
                    workers.create_task(self._work_on(waiting))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            self._found.put_nowait(None)

    async def _work_on(self, waiting: Iterator[list[rot.HeldFile]]) -> None:
        for group in waiting:
            async with self._slots:
                damage = await self._rereader.examine(group[0].blob, self._count)
            if (damage is not None) is not group[0].rotten:
                async with self._db.connection() as connection:
                    await rot.suspect(connection, self._name.namespace, group[0].blob)
            for held in group:
                self._found.put_nowait(_result(held, damage))

    async def _count(self, read_bytes: int) -> None:
        self._checked_bytes += read_bytes


def _result(held: rot.HeldFile, damage: finding.Damage | None) -> soundness.FileResult:
    if damage is None:
        return soundness.FileResult(held.file, soundness.Verdict.OK, "")
    verdict = soundness.Verdict.MISSING if damage.lost else soundness.Verdict.CORRUPT
    return soundness.FileResult(held.file, verdict, damage.detail)
