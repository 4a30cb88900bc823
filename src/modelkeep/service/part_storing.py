"""A stream's parts on their way into the store: several at once, recorded in order."""

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Sequence

from modelkeep.domain import errors, names, uploads
from modelkeep.service import hashing, running_digests, upload_parts
from modelkeep.storage import database
from modelkeep.storage import upload_parts as rows
from modelkeep.storage import uploads as upload_rows

LOST_BY_STORE = "UPLOAD_LOST_BY_STORE"


class StoringLine:
    """Stores one stream's parts, a few at once, and records and reports them in order.

    `failure` is the first error. A part that is complete is stored and recorded whatever becomes
    of the stream or of the parts before it.

    Args:
        shared: what all uploads share.
        target: where the parts go.
        on_durable: told in order, when all the stream's bytes so far are durable.
        on_failure: told once, when `failure` is set.
    """

    def __init__(
        self,
        shared: upload_parts.Shared,
        target: upload_parts.Target,
        on_durable: Callable[[uploads.Progress], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._target = target
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._slots = asyncio.Semaphore(shared.settings.parts_in_flight)
        self._last: asyncio.Task[bool] | None = None
        self._under_way: set[asyncio.Task[bool]] = set()
        self.persisted_offset = 0
        self.failure: Exception | None = None

    async def put(self, part: upload_parts.PartBuffer) -> None:
        """Hand a full part over, when there is room for one more under way."""
        await self._slots.acquire()
        task = asyncio.create_task(self._run(part, self._last))
        self._last = task
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _run(
        self, part: upload_parts.PartBuffer, before: "asyncio.Task[bool] | None"
    ) -> bool:
        """Whether this part and all before it in the stream are durable; never raises an error."""
        try:
            await self._make_durable(part, before)
        except Exception as error:  # noqa: BLE001 - raised by whoever drives the stream
            self.failure = self.failure or error
            self._on_failure()
            return False
        finally:
            self._slots.release()
        if before is not None and not await before:
            return False
        self.persisted_offset = part.place.end
        self._on_durable(uploads.Progress(part.place.end))
        return True

    async def _make_durable(
        self, part: upload_parts.PartBuffer, before: "asyncio.Task[bool] | None"
    ) -> None:
        if part.turn is None:  # durable already
            return
        storing = _Storing(self._shared, self._target, part.number, part.take_buffers(), part.turn)
        try:
            await storing.store()
        finally:
            self._shared.memory.release(part.reserved_bytes)
        if before is not None:
            await asyncio.wait([before])  # so that what is durable grows without gaps
        await storing.record()


class _Storing:
    """One part: hashed and stored at the same time, then recorded."""

    def __init__(
        self,
        shared: upload_parts.Shared,
        target: upload_parts.Target,
        number: int,
        buffers: Sequence[bytes],
        turn: running_digests.Turn,
    ) -> None:
        self._shared = shared
        self._target = target
        self._buffers = buffers
        self._part = rows.Part(number, 0, "")
        self._turn = turn

    async def store(self) -> None:
        """Put the bytes into the store."""
        hasher = self._shared.hasher
        hashing_it = asyncio.create_task(self._turn.hash(hasher, self._buffers))
        try:
            crc32c = await hasher.run(functools.partial(hashing.crc32c_of, self._buffers))
            self._part = dataclasses.replace(self._part, crc32c=crc32c)
            await self._put()
            await hashing_it
        except BaseException:
            hashing_it.cancel()
            await asyncio.gather(hashing_it, return_exceptions=True)
            self._turn.failed()
            raise
        finally:
            self._turn.leave()
            self._buffers = ()

    async def record(self) -> None:
        """Note that the part is durable, or raise what forbids it."""
        async with self._turn.recording() as sha256:
            try:
                recorded = await self._insert(sha256)
            except BaseException:
                self._turn.failed()
                raise
            if recorded:
                self._turn.recorded()
                return
            self._turn.failed()
        if not self._target.multipart_id:
            await self._shared.blobs.delete(self._target.object_key)
        await require_active(self._shared.db, self._target.name)
        raise lost(self._target.name, self._part.number)

    async def _put(self) -> None:
        target, part = self._target, self._part
        if not target.multipart_id:
            await self._shared.blobs.put(target.object_key, self._buffers, part.crc32c)
            return
        try:
            tag = await self._shared.blobs.put_part(
                target.object_key, target.multipart_id, part.number, self._buffers, part.crc32c
            )
        except errors.NotFound as error:
            await require_active(self._shared.db, target.name)
            raise lost_by_store(target.name) from error
        self._part = dataclasses.replace(part, etag=tag.etag)

    async def _insert(self, sha256: str) -> bool:
        async with self._shared.db.connection() as connection:
            return await rows.record(
                connection,
                self._target.name,
                self._target.stream,
                self._part,
                storage_key=self._target.object_key,
                multipart_id=self._target.multipart_id,
                sha256=sha256,
            )


async def require_active(db: database.Database, name: names.UploadName) -> None:
    """Raise `errors.FailedPrecondition` if the upload takes no more bytes."""
    async with db.connection() as connection:
        uploads.require_active((await upload_rows.get(connection, name)).upload)


def lost_by_store(name: names.UploadName) -> errors.FailedPrecondition:
    """The error of an upload whose parts the store has forgotten."""
    return errors.FailedPrecondition(
        f"the store no longer has the parts of {name}; start another upload", reason=LOST_BY_STORE
    )


def lost(name: names.UploadName, number: int) -> errors.Aborted:
    """The error of a stream whose part another stream has taken over."""
    return errors.Aborted(
        f"another stream writes part {number} of {name}; "
        "ask for the upload's state and go on where it says",
        reason="UPLOAD_PART_TAKEN",
        part=number,
    )
