"""The scrub: re-reads what is stored, oldest first, and sets aside versions whose bytes rotted.

Any number of replicas may scrub: each claims a blob at a time. Two facts are kept apart, so that a
crash between them loses nothing: that a blob is rotten, and that a version is set aside for it.
"""

import asyncio
import contextlib
import datetime
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from modelkeep.authz import caller as callers
from modelkeep.domain import errors, events, limits, sight
from modelkeep.service import changes, quarantine, rereading, soundness, upload_changes
from modelkeep.storage import database, rot
from modelkeep.storage import versions as version_rows

_CALLER = callers.Caller("modelkeep-scrub", "scrub", "")
_ONCE = changes.Once("", b"")
_AT_LEAST_BYTES = 64 * limits.KIB
"""What a blob costs of the rate at least: a small one costs a request and some statements."""
_EXPOSED_AT_ONCE = 100
_NAMED = 3
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """How fast, and how often each blob; `bytes_per_s` is for this process."""

    bytes_per_s: float
    older_than: datetime.timedelta = datetime.timedelta(days=7)
    idle_s: float = 30.0
    lease_s: float = 120.0


class Pace:
    """Makes whoever spends bytes wait, so that a rate is kept."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0

    async def spend(self, size_bytes: int) -> None:
        """Wait as long as so many bytes take at this rate, beginning when the last were due."""
        self._free_at = max(self._free_at, time.monotonic()) + size_bytes / self._bytes_per_s
        await asyncio.sleep(self._free_at - time.monotonic())


class Scrub:
    """Re-reads blobs of all namespaces in the background."""

    def __init__(
        self, db: database.Database, rereader: rereading.Rereader, settings: Settings
    ) -> None:
        self._db = db
        self._rereader = rereader
        self._settings = settings
        self._changes = changes.Changes(db)
        self._pace = Pace(settings.bytes_per_s)

    async def run(self) -> None:
        """Scrub until cancelled; a database or a store that is away is tried again later."""
        while True:
            try:
                busy = await self.step()
            except errors.ModelkeepError as error:
                _log.warning("scrub.interrupted", error=error.message)
                busy = False
            except Exception as error:  # noqa: BLE001 - nobody awaits it, and it must go on
                _log.error("scrub.failed", exc_info=error)
                busy = False
            if not busy:
                await asyncio.sleep(self._settings.idle_s)

    async def step(self) -> bool:
        """Set aside what must be, and re-read one blob; False if none is due."""
        await self._set_exposed_aside()
        async with self._db.everywhere(sight.Work.SCRUB) as connection:
            claimed = await rot.claim(connection, self._settings.older_than, self._settings.lease_s)
        if claimed is None:
            return False
        with sight.only(claimed.name.namespace):
            async with self._leased(claimed):
                await self._pace.spend(max(_AT_LEAST_BYTES - claimed.blob.size_bytes, 0))
                damage = await self._rereader.examine(claimed.blob, self._pace.spend)
                await self._settle(claimed, damage)
        await self._set_exposed_aside()
        return True

    async def _settle(self, claimed: rot.Claimed, damage: soundness.Damage | None) -> None:
        if damage is not None and damage.lost:
            await self._require_right_store()
        finding = _Finding(claimed, damage)
        await self._changes.apply(_CALLER, _ONCE, bool, finding.carry_out)

    async def _require_right_store(self) -> None:
        if await self._rereader.holds_nothing(upload_changes.KEY_PREFIX):
            raise errors.FailedPrecondition(
                "the bucket holds no blob at all: it is not the one these versions are in; "
                "set MODELKEEP_S3_BUCKET to that",
                reason="STORE_EMPTY",
            )

    async def _set_exposed_aside(self) -> None:
        """Quarantine every ready version that has a file whose bytes are rotten."""
        while True:
            async with self._db.everywhere(sight.Work.SCRUB) as connection:
                exposed = await rot.list_exposed(connection, _EXPOSED_AT_ONCE)
            if not exposed:
                return
            for namespace, version_id in exposed:
                setting_aside = _SettingAside(version_id)
                with sight.only(namespace):
                    await self._changes.apply(_CALLER, _ONCE, bool, setting_aside.carry_out)

    @contextlib.asynccontextmanager
    async def _leased(self, claimed: rot.Claimed) -> AsyncIterator[None]:
        """Keep the claim while the block runs; give it back at once if the block fails."""
        beating = asyncio.create_task(self._beat(claimed))
        try:
            yield
        except BaseException:
            with contextlib.suppress(errors.ModelkeepError):  # then it ends by itself
                await self._keep(claimed, 0)
            raise
        finally:
            beating.cancel()

    async def _beat(self, claimed: rot.Claimed) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_s / 3)
            # Should the claim be lost, two re-read the blob: no harm.
            with contextlib.suppress(errors.Unavailable):
                await self._keep(claimed, self._settings.lease_s)

    async def _keep(self, claimed: rot.Claimed, lease_s: float) -> None:
        async with self._db.connection() as connection:
            await rot.keep(connection, claimed.name.namespace, claimed.blob, lease_s)


class _Finding:
    """Writes down what a re-reading found; `carry_out` runs in a transaction."""

    def __init__(self, claimed: rot.Claimed, damage: soundness.Damage | None) -> None:
        self._claimed = claimed
        self._damage = damage

    async def carry_out(self, change: changes.Change) -> bool:
        """False if the blob was repaired or deleted while it was read."""
        namespace, blob = self._claimed.name.namespace, self._claimed.blob
        if self._damage is None:
            held = await rot.set_sound(change.connection, namespace, blob)
        else:
            held = await rot.set_rotten(change.connection, namespace, blob, self._damage.detail)
        if held and (self._damage is not None) is not self._claimed.rotten:
            self._tell(change)
        return held

    def _tell(self, change: changes.Change) -> None:
        name, damage = self._claimed.name, self._damage
        if damage is None:
            _log.info("blob.recovered", blob=str(name))
            change.record(name.namespace, events.Event("blob.recovered", name, None, {}))
            return
        _log.error("blob.rotted", blob=str(name), detail=damage.detail)
        after: dict[str, events.Json] = {
            "detail": damage.detail,
            "offset": damage.at.start,
            "length": damage.at.end - damage.at.start,
        }
        change.record(name.namespace, events.Event("blob.rotted", name, None, after))


class _SettingAside:
    """Quarantines one version; `carry_out` runs in a transaction."""

    def __init__(self, version_id: int) -> None:
        self._version_id = version_id

    async def carry_out(self, change: changes.Change) -> bool:
        """False if its bytes were repaired meanwhile."""
        stored = await version_rows.lock_by_id(change.connection, self._version_id)
        rotten = await rot.list_rotten_of(change.connection, self._version_id, _NAMED + 1)
        if not rotten:
            return False
        named = [f"{each.path} ({each.digest}): {each.rot}" for each in rotten[:_NAMED]]
        more = ["and more files"] if len(rotten) > _NAMED else []
        reason = f"the store has not kept {'; '.join(named + more)}"
        await quarantine.quarantine(change, stored, reason)
        _log.error("version.quarantined", version=str(stored.version.name), reason=reason)
        return True
