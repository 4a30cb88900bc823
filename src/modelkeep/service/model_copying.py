"""Use case: the bytes of a model that is to move go to the other namespace before it."""

import asyncio
import collections
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import batches as batch_values
from modelkeep.domain import blobs, errors, limits, moves, names, uploads
from modelkeep.service import batches, changes, rehoming
from modelkeep.service import uploads as upload_service
from modelkeep.storage import database, holds
from modelkeep.storage import files as file_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows

_AT_ONCE = 3
_TELL_EACH_S = 1.0
_LISTED = 1000
_Job = Callable[[], Awaitable[None]]
_NOT_REQUESTED = changes.Once("", b"")


class ModelCopying:
    """Copies models' blobs from one namespace to another.

    Args:
        db: the database.
        sending: opens the uploads that large blobs are copied by.
        together: reads and writes the small ones.
    """

    def __init__(
        self, db: database.Database, sending: upload_service.Uploads, together: batches.Batches
    ) -> None:
        self._db = db
        self._sending = sending
        self._together = together

    async def copy(
        self, caller: callers.Caller, name: names.ModelName, new: names.ModelName
    ) -> AsyncGenerator[moves.CopyProgress, None]:
        """Copy what the new name's namespace lacks, and yield how far it is.

        Raises what `rehoming.rehome` raises but BLOBS_MISSING, before anything is copied; and
        `errors.DataLoss`, `errors.QuotaExceeded`, `errors.Unavailable`. What is copied stays.
        """
        policy.require(caller, policy.Action.MOVE_MODEL, name)
        policy.require(caller, policy.Action.CREATE_MODEL, new)
        policy.require(caller, policy.Action.WRITE_UPLOAD, names.NamespaceName(new.namespace))
        if new.namespace == name.namespace:
            async with self._db.connection() as connection:
                await model_rows.get(connection, name)
            yield moves.CopyProgress()
            return
        order = await self._begun(caller, name, new)
        yield order.progress
        while not order.progress.is_done:
            found = await self._missing(order)
            if not found:  # what is left came by others
                break
            crew = _Crew(order, self._sending, self._together)
            async with contextlib.aclosing(crew.copy(found)) as steps:
                async for _ in steps:
                    yield order.progress
        if not order.progress.is_done:
            yield await self._counted(order)

    async def _begun(
        self, caller: callers.Caller, name: names.ModelName, new: names.ModelName
    ) -> "_Order":
        async with self._db.transaction() as connection:
            stored = await model_rows.get(connection, name)
            namespace_id = await namespace_rows.get_id(connection, new.namespace)
            change = changes.Change(connection, caller)
            await rehoming.require_movable(change, stored, new, namespace_id)
            route = holds.Route(stored.model_id, stored.namespace_id, namespace_id)
            await holds.hold(connection, route, uploads.LIFETIME)
        order = _Order(caller, name, new, route)
        order.progress = await self._counted(order)
        return order

    async def _counted(self, order: "_Order") -> moves.CopyProgress:
        async with self._db.transaction() as connection:
            counted = await holds.count(connection, order.route)
        return counted.copied(order.progress.copied_bytes)

    async def _missing(self, order: "_Order") -> Sequence[holds.Missing]:
        """The next blobs that are to be copied."""
        async with self._db.connection() as connection:
            found = await holds.list_missing(connection, order.route, order.after, _LISTED)
            for one in found:
                if one.is_rotten:
                    digest = one.blob.digest
                    file = await holds.find_file(connection, order.route.model_id, digest)
                    raise _damaged(order.name, file, digest)
        if found:
            order.after = found[-1].blob.digest
        return found


class _Order:
    """What is copied, from where to where, and how far it is."""

    def __init__(
        self,
        caller: callers.Caller,
        name: names.ModelName,
        new: names.ModelName,
        route: holds.Route,
    ) -> None:
        self.caller = caller
        self.name = name
        self.source = names.NamespaceName(name.namespace)
        self.target = names.NamespaceName(new.namespace)
        self.route = route
        self.progress = moves.CopyProgress()
        self.after = ""


class _Crew:
    """Copies some blobs, a few at once."""

    def __init__(
        self, order: _Order, sending: upload_service.Uploads, together: batches.Batches
    ) -> None:
        self._order = order
        self._sending = sending
        self._together = together
        self._work: collections.deque[_Job] = collections.deque()

    async def copy(self, found: Sequence[holds.Missing]) -> AsyncGenerator[None, None]:
        """Copy them, and yield now and again; the first failure stops everything."""
        blobs = [one.blob for one in found]
        small = [blob for blob in blobs if blob.size_bytes <= limits.BATCH_BLOB_BYTES]
        self._work.extend(functools.partial(self._batch, batch) for batch in _batched(small))
        large = [blob for blob in blobs if blob.size_bytes > limits.BATCH_BLOB_BYTES]
        self._work.extend(functools.partial(self._alone, blob) for blob in large)
        workers = min(_AT_ONCE, len(self._work))
        tasks = {asyncio.create_task(self._worker()) for _ in range(workers)}
        try:
            while tasks:
                done, tasks = await asyncio.wait(
                    tasks, timeout=_TELL_EACH_S, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _worker(self) -> None:
        while self._work:
            await self._work.popleft()()

    async def _batch(self, batch: Sequence[file_rows.StoredBlob]) -> None:
        order = self._order
        wanted = batch_values.Wanted(tuple(blob.digest for blob in batch))
        read = await self._together.read(order.caller, order.source, wanted)
        for one in read:
            one.fate.require()
        contents = tuple(batch_values.SmallBlob(one.digest, one.content) for one in read)
        written = await self._together.write(
            order.caller, "", order.target, batch_values.Batch(contents)
        )
        for each in written:
            each.fate.require()
        size_bytes = sum(blob.size_bytes for blob in batch)
        order.progress = order.progress.copied(size_bytes).arrived(len(batch), size_bytes)

    async def _alone(self, blob: file_rows.StoredBlob) -> None:
        order = self._order
        descriptor = blobs.Descriptor(blob.digest, blob.size_bytes)
        upload = await self._sending.start(order.caller, _NOT_REQUESTED, order.target, descriptor)
        if upload.state is not uploads.UploadState.COMMITTED:
            filling = self._sending.copies().fill(upload.name, blob)
            async with contextlib.aclosing(filling):
                async for copied_bytes in filling:
                    order.progress = order.progress.copied(copied_bytes)
        order.progress = order.progress.arrived(1, blob.size_bytes)


def _damaged(name: names.ModelName, file: str, digest: str) -> errors.DataLoss:
    return errors.DataLoss(
        f"{file} of {name} is damaged in the store; push the same file again, or purge the "
        "version, before the model moves",
        reason="BLOB_DAMAGED_IN_STORE",
        digest=digest,
    )


def _batched(
    small: Sequence[file_rows.StoredBlob],
) -> Iterable[list[file_rows.StoredBlob]]:
    """As many together as one batch takes."""
    batch: list[file_rows.StoredBlob] = []
    room_bytes = limits.BATCH_BYTES
    for blob in small:
        if batch and (blob.size_bytes > room_bytes or len(batch) == limits.BATCH_BLOBS):
            yield batch
            batch, room_bytes = [], limits.BATCH_BYTES
        batch.append(blob)
        room_bytes -= blob.size_bytes
    if batch:
        yield batch
