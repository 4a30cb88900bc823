"""Bringing one blob in: open or reopen its upload, send what is not durable, have it verified."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import BinaryIO

from modelkeep.client import (
    blobs,
    chunks,
    concurrency,
    direct_upload,
    errors,
    filling,
    patience,
    progress,
    records,
    routes,
    transfer_calls,
    tree,
    upload_stream,
    workers,
)

_POLL_FIRST_S = 0.05
_POLL_LONGEST_S = 1.0
_RESTARTS = 2
"""How often an upload that failed or was given up meanwhile is opened anew."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all uploads of one push share; `on_sent` hears each number of bytes sent.

    `streams` is how many one file may have, `turns` bounds those of all files together; `calls` and
    `route` are for what goes straight to the store.
    """

    connection: blobs.BlobCalls
    namespace: str
    chunk_bytes: int
    streams: int
    turns: asyncio.Semaphore
    stall_s: float
    pool: workers.Workers
    listener: progress.Progress
    on_sent: Callable[[int], None]
    calls: transfer_calls.TransferCalls
    route: routes.Route


async def send(file: tree.LocalFile, digest: str, settings: Settings) -> None:
    """Have the registry hold the file's bytes, verified.

    Raises:
        FileChanged: the file is not what was hashed.
        RegistryError: it was refused, or interrupted for too long; the same push goes on later.
    """
    with file.source.open("rb", buffering=0) as opened:
        await _Sending(file, digest, settings, opened).run()


def _may_pass(failure: errors.RegistryError) -> bool:
    # Another process may push the same blob, so the upload may have moved on without us: after
    # any of these its state is asked for, and the transfer goes on from there.
    moved_on = failure.code in {"FAILED_PRECONDITION", "OUT_OF_RANGE"}
    return patience.is_passing(failure) or moved_on


class _Sending:
    """One file on its way; `run` is called once."""

    def __init__(
        self, file: tree.LocalFile, digest: str, settings: Settings, opened: BinaryIO
    ) -> None:
        self._file = file
        self._digest = digest
        self._settings = settings
        self._descriptor = opened.fileno()
        self._patience = patience.Patience(settings.stall_s, settings.listener, _may_pass)
        self._restarts_left = _RESTARTS
        self._upload: records.Upload | None = None
        self._is_told = False

    async def run(self) -> None:
        """Take steps until the blob is committed, however often the line is cut."""
        try:
            await self._commit()
        except errors.DataLoss as failure:
            raise await self._wrong_bytes(failure) from failure
        self._settings.listener.file_ended(self._file.path)

    async def _commit(self) -> None:
        upload: records.Upload | None = None
        while upload is None or upload.state is not records.UploadState.COMMITTED:
            try:
                upload = await self._step(upload)
            except errors.RegistryError as failure:
                await self._patience.after(failure)
                upload = None

    async def _step(self, upload: records.Upload | None) -> records.Upload:
        match upload:
            case None:
                return await self._look_up()
            case records.Upload(state=records.UploadState.ACTIVE):
                return await self._fill(upload)
            case records.Upload(state=records.UploadState.VERIFYING):
                return await self._wait_for_verdict(upload)
            case _:
                return await self._open_again(upload)

    async def _look_up(self) -> records.Upload:
        """The upload as it stands: the one we know, or whatever the server has for the digest."""
        upload = await self._known() or await self._settings.connection.start_upload(
            self._settings.namespace, self._digest, self._file.size_bytes
        )
        self._upload = upload
        done = sum(end - start for start, end in upload.persisted_ranges)
        self._patience.reached(done)
        self._tell(done)
        return upload

    def _tell(self, done_bytes: int) -> None:
        listener, path = self._settings.listener, self._file.path
        if self._is_told:
            listener.file_moved(path, done_bytes)
        else:
            listener.file_began(path, self._file.size_bytes, done_bytes)
        self._is_told = True

    async def _known(self) -> records.Upload | None:
        if self._upload is None:
            return None
        try:
            return await self._settings.connection.get_upload(self._upload.name)
        except errors.NotFound:
            return None  # It expired; a new one is opened.

    async def _open_again(self, upload: records.Upload) -> records.Upload:
        if self._restarts_left == 0 or upload.state is records.UploadState.FAILED:
            raise errors.DataLoss(
                f"The upload of {self._file.path} is {upload.state}: its bytes were not those that"
                " were declared; push again.",
                reason="UPLOAD_FAILED",
            )
        self._restarts_left -= 1
        self._upload = None
        return await self._look_up()

    async def _fill(self, upload: records.Upload) -> records.Upload:
        if self._settings.route.takes(upload.name, upload.size_bytes):
            return await self._fill_directly(upload)
        missing = filling.Filling(upload, self._settings.streams)

        async def stream(number: int) -> None:
            await self._stream(upload.name, missing, number)

        await concurrency.for_each(range(missing.streams), stream, at_once=missing.streams)
        if missing.streams:
            self._file.check_unchanged(os.fstat(self._descriptor))
        return await self._settings.connection.complete_upload(upload.name)

    async def _fill_directly(self, upload: records.Upload) -> records.Upload:
        settings, missing = self._settings, filling.Filling(upload, 1)

        def sent(offset: int, size: int) -> None:
            missing.sent(offset, size)
            self.moved(missing, size)

        def durable(known: records.Upload) -> None:
            missing.learn(known.persisted_ranges)
            self.moved(missing, 0)

        source = direct_upload.Source(
            self._file, self._descriptor, settings.pool, on_sent=sent, on_durable=durable
        )
        await direct_upload.send(upload, source, settings.calls, settings.route)
        self._file.check_unchanged(os.fstat(self._descriptor))
        return await settings.connection.complete_upload(upload.name)

    async def _stream(self, name: str, missing: filling.Filling, number: int) -> None:
        """Send ranges until none is left; a failure is this stream's own affair if it can be."""
        while (span := missing.take()) is not None:
            try:
                await self._send_range(name, missing, span, number)
            except errors.RegistryError as failure:
                # Who writes the part now shall finish it, so it comes last.
                missing.give_back(span, at_end=failure.reason == "UPLOAD_PART_TAKEN")
                await self._catch_up(name, missing, failure)

    async def _catch_up(
        self, name: str, missing: filling.Filling, failure: errors.RegistryError
    ) -> None:
        """After a failure: wait, then ask what is durable; raise if the upload cannot go on."""
        known: records.Upload | None = None
        while known is None:
            await self._patience.after(failure)
            try:
                known = await self._settings.connection.get_upload(name)
            except errors.NotFound:
                raise failure from None  # `_look_up` finds what there is instead
            except errors.RegistryError as another:
                failure = another
        if known.state is not records.UploadState.ACTIVE:
            raise failure
        missing.learn(known.persisted_ranges)
        self.moved(missing, 0)

    async def _send_range(
        self, name: str, missing: filling.Filling, span: tuple[int, int], number: int
    ) -> None:
        settings, (start, end) = self._settings, span
        async with settings.turns, contextlib.aclosing(self._read(start, end)) as content:
            await upload_stream.send(
                settings.connection.write_upload(number),
                name,
                content,
                end,
                ear=_Ear(self, missing, start),
                stall_s=settings.stall_s,
            )

    async def _read(self, start: int, end: int) -> AsyncGenerator[chunks.Chunk, None]:
        settings = self._settings
        reading = chunks.read(
            self._descriptor,
            start,
            end,
            settings.chunk_bytes,
            settings.pool,
            origin=self._file.start,
        )
        reached = start
        async with contextlib.aclosing(reading):
            async for chunk in reading:
                reached += len(chunk.content)
                if reached != min(chunk.offset + settings.chunk_bytes, end):
                    raise tree.changed(self._file.path)
                yield chunk

    async def _wait_for_verdict(self, upload: records.Upload) -> records.Upload:
        pause_s = _POLL_FIRST_S
        while upload.state is records.UploadState.VERIFYING:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _POLL_LONGEST_S)
            upload = await self._settings.connection.get_upload(upload.name)
        return upload

    async def _wrong_bytes(self, failure: errors.DataLoss) -> errors.RegistryError:
        """Free what was sent, and say whether the file or the way is to blame."""
        if self._upload is not None:
            # It may be gone or failed already; the failure at hand is what the user must hear.
            with contextlib.suppress(errors.RegistryError):
                await self._settings.connection.abort_upload(self._upload.name)
        try:
            self._file.check_unchanged(self._file.source.stat())
        except (errors.FileChanged, OSError):
            return tree.changed(self._file.path)
        return failure

    def moved(self, missing: filling.Filling, sent_bytes: int) -> None:
        """Hear that so many more bytes went out, or that more are durable."""
        self._settings.on_sent(sent_bytes)
        self._patience.reached(missing.durable_bytes)
        self._settings.listener.file_moved(self._file.path, missing.done_bytes)


@dataclass(frozen=True, slots=True)
class _Ear:
    """Counts what one stream, which began at `start`, sends and what of it is durable."""

    sending: _Sending
    missing: filling.Filling
    start: int

    def sent(self, chunk: chunks.Chunk) -> None:
        size = len(chunk.content)
        self.missing.sent(chunk.offset, size)
        self.sending.moved(self.missing, size)

    def durable(self, offset: int) -> None:
        self.missing.learn([(self.start, offset)])
        self.sending.moved(self.missing, 0)
