"""One stream of bytes into an upload: checks each piece, cuts the stream into parts."""

import asyncio
import collections
import time
from collections.abc import AsyncGenerator, AsyncIterator

import google_crc32c

from modelkeep.domain import errors, limits, names, pace, uploads
from modelkeep.service import part_storing, upload_parts
from modelkeep.storage import upload_parts as part_rows
from modelkeep.storage import uploads as rows


class Leftovers:
    """Streams of this process that were cut and still store the parts they had complete."""

    def __init__(self) -> None:
        self._by_name: dict[names.UploadName, set[asyncio.Task[None]]] = collections.defaultdict(
            set
        )

    def add(self, name: names.UploadName, task: "asyncio.Task[None]") -> None:
        """Keep the task until it is done."""
        self._by_name[name].add(task)
        task.add_done_callback(lambda done: self._drop(name, done))

    async def settled(self, name: names.UploadName, timeout_s: float) -> None:
        """Wait for an upload's cut streams, so that nothing they make durable is sent again."""
        if name in self._by_name:
            await asyncio.wait(set(self._by_name[name]), timeout=timeout_s)

    async def all_settled(self) -> None:
        """Wait for every cut stream."""
        while tasks := {task for some in self._by_name.values() for task in some}:
            await asyncio.wait(tasks)

    def _drop(self, name: names.UploadName, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            task.exception()  # nobody listens to this stream any more
        self._by_name[name].discard(task)
        if not self._by_name[name]:
            del self._by_name[name]


class UploadStream:
    """A stream under way; `run` is called once."""

    def __init__(
        self,
        shared: upload_parts.Shared,
        name: names.UploadName,
        draining: asyncio.Event,
        leftovers: Leftovers,
    ) -> None:
        self._shared = shared
        self._name = name
        self._draining = draining
        self._leftovers = leftovers
        self._answers: asyncio.Queue[uploads.Progress | None] = asyncio.Queue()
        self._line: part_storing.StoringLine | None = None
        self._target: upload_parts.Target | None = None
        self._part: upload_parts.PartBuffer | None = None
        self._pace = self._new_pace()
        self._offset = 0
        self._broken = asyncio.Event()

    async def run(
        self, pieces: AsyncIterator[uploads.Piece]
    ) -> AsyncGenerator[uploads.Progress, None]:
        """Take the pieces to their end and yield what became durable.

        If the caller goes away, the parts that were complete are still made durable.
        """
        driving = asyncio.create_task(self._drive(pieces))
        driving.add_done_callback(lambda _: self._answers.put_nowait(None))
        try:
            while (answer := await self._answers.get()) is not None:
                yield answer
                self._answers.task_done()
            await driving
        finally:
            if not driving.done():
                driving.cancel()
                self._leftovers.add(self._name, driving)

    async def _drive(self, pieces: AsyncIterator[uploads.Piece]) -> None:
        receiving = asyncio.create_task(self._receive(pieces))
        try:
            await self._until_ended(receiving)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            self._drop_part()
            if self._line is not None:
                await self._line.settled()
        self._raise_if_broken()
        await self._look_up()

    async def _until_ended(self, receiving: "asyncio.Task[None]") -> None:
        """Return when all is received; raise what ends the stream before that."""
        drained = asyncio.create_task(self._draining.wait())
        broken = asyncio.create_task(self._broken.wait())
        try:
            await asyncio.wait({receiving, drained, broken}, return_when=asyncio.FIRST_COMPLETED)
            if drained.done() and self._part is None and not receiving.done():
                raise _draining()
            # In the middle of a part: `_receive` raises at its end.
            await asyncio.wait({receiving, broken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            drained.cancel()
            broken.cancel()
        self._raise_if_broken()
        await receiving

    async def _receive(self, pieces: AsyncIterator[uploads.Piece]) -> None:
        while (piece := await self._next(pieces)) is not None:
            if piece.name not in (None, self._name):
                raise errors.invalid("names another upload; one stream writes one upload", "name")
            if piece.content:
                await self._take(piece)
            if piece.finish_stream:
                return
            if self._draining.is_set() and self._part is None:
                raise _draining()
            if piece.state_lookup:
                await self._look_up()
                await self._answers.join()  # who asks and does not listen is not read from

    async def _next(self, pieces: AsyncIterator[uploads.Piece]) -> uploads.Piece | None:
        stall_s, began = self._shared.settings.stall_s, time.monotonic()
        try:
            async with asyncio.timeout(stall_s):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise errors.Unavailable(
                f"nothing arrived for {stall_s:g} seconds; resume the upload",
                reason="STREAM_IDLE",
            ) from None
        if self._part is not None and piece is not None:
            self._require_pace(time.monotonic() - began, len(piece.content))
        return piece

    def _new_pace(self) -> pace.Pace:
        settings = self._shared.settings
        return pace.Pace(settings.stall_s, settings.least_bytes_per_s)

    def _require_pace(self, waited_s: float, size_bytes: int) -> None:
        """Who trickles holds the memory of a whole part as long as they like, unless we end it."""
        if not self._pace.keeps(waited_s, size_bytes):
            least_kib = self._shared.settings.least_bytes_per_s / limits.KIB
            raise errors.Unavailable(
                f"less than {least_kib:g} KiB a second arrived; resume the upload on a better line",
                reason="STREAM_SLOW",
            )

    async def _take(self, piece: uploads.Piece) -> None:
        self._shared.traffic.received_bytes += len(piece.content)
        self._check_content(piece)
        line = self._line or await self._begin(piece.offset)
        if piece.offset != self._offset:
            raise uploads.wrong_offset(piece.offset, self._offset, "a stream has no gaps")
        content = piece.content
        while content:
            part = self._part or await self._begin_part()
            content = part.add(content)
            if part.full:
                await line.put(part)
                self._part = None
                self._offset = part.place.end
        self._offset = piece.offset + len(piece.content)

    def _check_content(self, piece: uploads.Piece) -> None:
        found = google_crc32c.value(piece.content)
        if piece.crc32c is not None and piece.crc32c != found:
            raise errors.DataLoss(
                f"the chunk at offset {piece.offset} has CRC32C {found:08x} instead of "
                f"{piece.crc32c:08x}; send its part again",
                reason="CHUNK_CORRUPT",
                offset=piece.offset,
            )

    async def _begin(self, offset: int) -> part_storing.StoringLine:
        """Open the upload for the stream's first bytes."""
        await self._leftovers.settled(self._name, self._shared.settings.settle_s)
        async with self._shared.db.connection() as connection:
            stored = await rows.get(connection, self._name)
            uploads.require_active(stored.upload)
            uploads.require_start(stored.upload, offset)
            stream = await part_rows.next_stream(connection, self._name)
        layout, has_parts = stored.upload.layout, bool(stored.upload.persisted)
        self._shared.digests.open(self._name, layout.count, has_parts=has_parts)
        self._target = await self._aim(stored, stream)
        self._offset = offset
        self._line = part_storing.StoringLine(
            self._shared, self._target, self._answers.put_nowait, self._broken.set
        )
        return self._line

    async def _aim(self, stored: rows.Stored, stream: int) -> upload_parts.Target:
        multipart_id = stored.multipart_id
        if stored.upload.layout.count > 1 and not multipart_id:
            multipart_id = await self._start_multipart(stored.storage_key)
        return upload_parts.Target(
            self._name, stored.upload.layout, stream, stored.storage_key, multipart_id
        )

    async def _start_multipart(self, key: str) -> str:
        started = await self._shared.blobs.start_multipart(key)
        async with self._shared.db.connection() as connection:
            if await part_rows.set_multipart(connection, self._name, started):
                return started
            stored = await rows.get(connection, self._name)
        # Another stream was faster, or the upload was given up meanwhile.
        await self._shared.blobs.abort_multipart(key, started)
        uploads.require_active(stored.upload)
        return stored.multipart_id

    async def _begin_part(self) -> upload_parts.PartBuffer:
        if self._target is None:
            raise AssertionError("`_begin` comes first")
        layout = self._target.layout
        if self._offset >= layout.size_bytes:
            raise uploads.wrong_offset(
                self._offset, layout.size_bytes, f"the blob has {layout.size_bytes} bytes"
            )
        if self._draining.is_set():
            raise _draining()
        number = layout.number_at(self._offset)
        part = upload_parts.PartBuffer(
            number, layout.range_of(number), skip=await self._is_durable(number)
        )
        if not part.skip:
            size_bytes = part.place.end - part.place.start
            await self._shared.memory.reserve(size_bytes)
            part.reserved_bytes = size_bytes
            part.turn = self._shared.digests.begin(self._name, number, layout.count)
        self._part = part
        self._pace = self._new_pace()
        return part

    async def _is_durable(self, number: int) -> bool:
        """Claim a part: False if it is ours to write, True if it need not be written."""
        if self._target is None:
            raise AssertionError("`_begin` comes first")
        async with self._shared.db.connection() as connection:
            claim = await part_rows.claim(connection, self._name, number, self._target.stream)
        if claim in (part_rows.Claim.CLOSED, part_rows.Claim.LOST):
            await part_storing.require_active(self._shared.db, self._name)
            raise part_storing.lost(self._name, number)
        return claim is part_rows.Claim.DURABLE

    async def _look_up(self) -> None:
        async with self._shared.db.connection() as connection:
            upload = (await rows.get(connection, self._name)).upload
        offset = self._line.persisted_offset if self._line else upload.next_offset
        self._answers.put_nowait(uploads.Progress(offset, upload))

    def _drop_part(self) -> None:
        if self._part is not None:
            if self._part.turn is not None:
                self._part.turn.leave()
            self._shared.memory.release(self._part.reserved_bytes)
            self._part = None

    def _raise_if_broken(self) -> None:
        if self._line is not None and self._line.failure is not None:
            raise self._line.failure


def _draining() -> errors.Unavailable:
    return errors.Unavailable("the server is draining; resume the upload", reason="DRAINING")
