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
    errors,
    patience,
    progress,
    records,
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
    """What all uploads of one push share; `on_sent` hears each number of bytes sent."""

    connection: blobs.BlobCalls
    namespace: str
    chunk_bytes: int
    stall_s: float
    pool: workers.Workers
    listener: progress.Progress
    on_sent: Callable[[int], None]


async def send(file: tree.LocalFile, digest: str, settings: Settings) -> None:
    """Have the registry hold the file's bytes, verified.

    Raises:
        FileChanged: the file is not what was hashed.
        RegistryError: it was refused, or interrupted for too long; the same push goes on later.
    """
    with file.source.open("rb", buffering=0) as opened:
        await _Sending(file, digest, settings, opened).run()


def missing_ranges(upload: records.Upload) -> list[tuple[int, int]]:
    """The [start, end) ranges that are not durable, in order."""
    missing, reached = [], 0
    for start, end in upload.persisted_ranges:
        if start > reached:
            missing.append((reached, start))
        reached = end
    if reached < upload.size_bytes:
        missing.append((reached, upload.size_bytes))
    return missing


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
        # One range after the other; parallel streams per file would share this list.
        missing = missing_ranges(upload)
        for start, end in missing:
            await self._send_range(upload, start, end)
        if missing:
            self._file.check_unchanged(os.fstat(self._descriptor))
        return await self._settings.connection.complete_upload(upload.name)

    async def _send_range(self, upload: records.Upload, start: int, end: int) -> None:
        # Sent in order, so all before `start` is durable, and so is what is known beyond it.
        beyond = sum(high - low for low, high in upload.persisted_ranges if low >= start)
        position = _Position(self, beyond)
        async with contextlib.aclosing(self._read(start, end)) as content:
            await upload_stream.send(
                self._settings.connection.write_upload(),
                upload.name,
                content,
                end,
                ear=position,
                stall_s=self._settings.stall_s,
            )

    async def _read(self, start: int, end: int) -> AsyncGenerator[chunks.Chunk, None]:
        settings = self._settings
        reading = chunks.read(self._descriptor, start, end, settings.chunk_bytes, settings.pool)
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

    def sent(self, done_bytes: int, sent_bytes: int) -> None:
        """Hear that bytes went out and how far the file is."""
        self._settings.on_sent(sent_bytes)
        self._settings.listener.file_moved(self._file.path, done_bytes)

    def durable(self, done_bytes: int) -> None:
        """Hear how much of the file is durable."""
        self._patience.reached(done_bytes)


@dataclass(frozen=True, slots=True)
class _Position:
    """Turns a stream's offsets into how much of the file is done."""

    sending: _Sending
    beyond_bytes: int

    def sent(self, chunk: chunks.Chunk) -> None:
        size = len(chunk.content)
        self.sending.sent(chunk.offset + size + self.beyond_bytes, size)

    def durable(self, offset: int) -> None:
        self.sending.durable(offset + self.beyond_bytes)
