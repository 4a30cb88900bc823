"""Sending small files together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from modelkeep.client import batch_calls, errors, progress, tree, workers


@dataclass(frozen=True, slots=True)
class Settings:
    """What all batches of one push share.

    Attributes:
        connection: the registry.
        namespace: where the blobs go.
        pool: the threads that read.
        listener: hears how far it is.
        on_sent: hears each number of bytes sent.
        single: sends one file by itself, patiently, and knows what to say if that fails.
    """

    connection: batch_calls.BatchCalls
    namespace: str
    pool: workers.Workers
    listener: progress.Progress
    on_sent: Callable[[int], None]
    single: Callable[[tree.HashedFile], Awaitable[None]]


class SmallPush:
    """Sends batches; what a batch does not bring home is sent file by file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_offered = True

    async def send(self, batch: Sequence[tree.HashedFile]) -> None:
        """Have the registry hold these files, which make one batch, verified.

        Raises:
            FileChanged: a file is not what was hashed.
            RegistryError: a file was refused, or interrupted for too long.
        """
        done = await self._together(batch) if self._is_offered else set()
        for one in batch:
            if one.digest in done:
                self._tell(one.local)
            else:
                await self._settings.single(one)

    async def _together(self, batch: Sequence[tree.HashedFile]) -> set[str]:
        """The digests that the registry then holds."""
        settings = self._settings
        contents = await settings.pool.submit(lambda: [tree.content_of(one.local) for one in batch])
        blobs = zip((one.digest for one in batch), contents, strict=True)
        try:
            outcomes = await settings.connection.write_blobs(settings.namespace, blobs)
        except errors.LimitReached:
            raise  # one by one the files would meet the same quota
        except errors.RegistryError as failure:
            # An older server; or one that is away, which a single file waits for.
            self._is_offered = failure.code != "UNIMPLEMENTED"
            return set()
        settings.on_sent(sum(map(len, contents)))
        return {outcome.digest for outcome in outcomes if outcome.is_ok}

    def _tell(self, file: tree.LocalFile) -> None:
        listener = self._settings.listener
        listener.file_began(file.path, file.size_bytes, 0)
        listener.file_moved(file.path, file.size_bytes)
        listener.file_ended(file.path)
