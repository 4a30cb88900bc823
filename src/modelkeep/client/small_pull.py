"""Fetching small files together."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelkeep.client import batch_calls, download, errors, hashing, progress, records, workers


@dataclass(frozen=True, slots=True)
class Settings:
    """What all batches of one pull share.

    Attributes:
        connection: the registry.
        namespace: where the blobs are.
        pool: the threads that read, write and hash.
        listener: hears how far it is.
        on_fetched: hears each number of bytes received.
        target_of: where the file of a path goes, its folder made; runs in a thread.
        single: fetches one file by itself, patiently, and knows what to say if that fails.
    """

    connection: batch_calls.BatchCalls
    namespace: str
    pool: workers.Workers
    listener: progress.Progress
    on_fetched: Callable[[int], None]
    target_of: Callable[[str], Path]
    single: Callable[[records.File], Awaitable[None]]


class SmallPull:
    """Fetches batches; what a batch does not bring is fetched file by file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_offered = True

    async def fetch(self, batch: Sequence[records.File]) -> None:
        """Put these files, which make one batch, verified at their places.

        Raises:
            DataLoss: the bytes that came do not have a file's digest.
            RegistryError: a file was refused, or interrupted for too long.
        """
        settings = self._settings
        absent = await settings.pool.submit(lambda: [f for f in batch if not self._is_there(f)])
        here = set(batch) - set(absent)
        for file in batch:
            if file in here:
                self._tell(file, file.size_bytes)
        if absent:
            await self._fetch(absent)

    async def _fetch(self, absent: Sequence[records.File]) -> None:
        contents = await self._together(absent) if self._is_offered else {}
        brought = [file for file in absent if file.digest in contents]
        await self._settings.pool.submit(lambda: self._place(brought, contents))
        for file in absent:
            if file.digest in contents:
                self._tell(file, 0)
            else:
                await self._settings.single(file)

    async def _together(self, files: Sequence[records.File]) -> dict[str, bytes]:
        """The bytes of those digests that could be read."""
        settings = self._settings
        digests = list(dict.fromkeys(file.digest for file in files))
        try:
            outcomes = await settings.connection.read_blobs(settings.namespace, digests)
        except errors.RegistryError as failure:
            # An older server; or one that is away, which a single file waits for.
            self._is_offered = failure.code != "UNIMPLEMENTED"
            return {}
        contents = {outcome.digest: outcome.content for outcome in outcomes if outcome.is_ok}
        settings.on_fetched(sum(map(len, contents.values())))
        return contents

    def _is_there(self, file: records.File) -> bool:
        target = self._settings.target_of(file.path)
        if target.is_symlink() or not target.is_file():
            return False
        if target.stat().st_size != file.size_bytes:
            return False
        return hashing.text_of(hashlib.sha256(target.read_bytes())) == file.digest

    def _place(self, files: Sequence[records.File], contents: dict[str, bytes]) -> None:
        sound: set[str] = set()
        for file in files:
            content = contents[file.digest]
            if file.digest not in sound:
                download.require_digest(file, hashing.text_of(hashlib.sha256(content)))
                sound.add(file.digest)
            download.place(content, file, self._settings.target_of(file.path))

    def _tell(self, file: records.File, done_bytes: int) -> None:
        listener = self._settings.listener
        listener.file_began(file.path, file.size_bytes, done_bytes)
        listener.file_moved(file.path, file.size_bytes)
        listener.file_ended(file.path)
