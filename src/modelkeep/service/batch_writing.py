"""A batch on its way in: checked, put into the store blob by blob, recorded in one change."""

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from modelkeep.blobs import store
from modelkeep.domain import batches, errors, events, names
from modelkeep.domain.formats import facts, reading, source
from modelkeep.service import changes, hashing
from modelkeep.storage import batches as rows
from modelkeep.storage import facts as fact_rows
from modelkeep.storage import files as file_rows

_PUTS_AT_ONCE = 8
"""Over all batches of this process: more is no faster, and large uploads use the same threads."""
_LOOK_S = 0.5
"""What nobody looked into after so long is read again when a version is sealed with it."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Checked:
    """A batch whose bytes were hashed.

    Attributes:
        blobs: the batch's.
        found_digests: what the bytes of each really have.
        fingerprint: of the request without its id, made of the digests instead of the bytes.
    """

    blobs: tuple[batches.SmallBlob, ...]
    found_digests: tuple[str, ...]
    fingerprint: bytes

    @property
    def sound(self) -> dict[str, bytes]:
        """The bytes of those that are what they were declared to be, each digest once."""
        pairs = zip(self.blobs, self.found_digests, strict=True)
        return {blob.digest: blob.content for blob, found in pairs if blob.digest == found}

    @property
    def sound_digests(self) -> list[str]:
        """Their digests."""
        return list(self.sound)


@dataclass(slots=True)
class Stored:
    """What the store took; `kept` are the keys that rows refer to."""

    blobs: list[file_rows.StoredBlob] = field(default_factory=list)
    failures: dict[str, batches.Fate] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    @property
    def incomplete(self) -> bool:
        """Whether the same request may succeed further when it is sent again."""
        return bool(self.failures)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a batch, as it is kept for its request_id."""

    written: tuple[batches.Written, ...]


def checked(parent: names.NamespaceName, batch: batches.Batch) -> Checked:
    """Hash a batch; meant for a thread."""
    found = tuple(f"sha256:{hashlib.sha256(blob.content).hexdigest()}" for blob in batch.blobs)
    request = hashlib.sha256(f"BatchWriteBlobs {parent}".encode())
    for blob, digest in zip(batch.blobs, found, strict=True):
        request.update(f"\n{blob.digest} {digest}".encode())
    return Checked(batch.blobs, found, request.digest())


def looked_into(contents: Mapping[str, bytes]) -> list[tuple[str, facts.Facts]]:
    """What is inside, by digest, as far as there is time; meant for a thread.

    Sealing would look too, and read every blob back from the store to do so.
    """
    until = time.monotonic() + _LOOK_S
    found = []
    for digest, content in contents.items():
        if time.monotonic() > until:
            break
        try:
            head = content[: reading.HEAD_BYTES]
            found.append((digest, reading.read(source.Memory(content), head)))
        except Exception:  # noqa: BLE001 - a mistake in reading a hostile file must not stop a batch
            _log.exception("inspection.failed", blob=digest)
    return found


class Putting:
    """Puts blobs into the store, a few at once."""

    def __init__(self, blobs: store.BlobStore) -> None:
        self._blobs = blobs
        self._slots = asyncio.Semaphore(_PUTS_AT_ONCE)

    @contextlib.asynccontextmanager
    async def put(self, found: Checked, held: Mapping[str, int]) -> AsyncIterator[Stored]:
        """Store the sound blobs that are not held; what no row refers to at the end is deleted."""
        stored = Stored()
        try:
            async with asyncio.TaskGroup() as group:
                for digest, content in found.sound.items():
                    if digest not in held:
                        group.create_task(self._put(digest, content, stored))
            yield stored
        finally:
            useless = [blob.storage_key for blob in stored.blobs]
            await self._delete([key for key in useless if key not in stored.kept])

    async def _put(self, digest: str, content: bytes, stored: Stored) -> None:
        key = f"blobs/{secrets.token_hex(16)}"
        body = [content] if content else []
        crc32c = hashing.crc32c_of(body)  # 13 us at most: a hop to a thread would cost more
        try:
            async with self._slots:
                await self._blobs.put(key, body, crc32c)
        except errors.ModelkeepError as error:
            stored.failures[digest] = batches.Fate.of(error)
            return
        stored.blobs.append(file_rows.StoredBlob(digest, len(content), key, crc32c))

    async def _delete(self, keys: list[str]) -> None:
        """Delete objects nobody refers to; if the store is away they are only garbage."""
        for key in keys:
            try:
                await self._blobs.delete(key)
            except errors.Unavailable:
                _log.warning("blob.orphaned", key=key)


class Recording:
    """Makes what was stored the namespace's; `carry_out` runs in a transaction."""

    def __init__(
        self,
        parent: names.NamespaceName,
        namespace_id: int,
        found: Checked,
        stored: Stored,
        looked: Sequence[tuple[str, facts.Facts]] = (),
    ) -> None:
        self._looked = looked
        self._parent = parent
        self._namespace_id = namespace_id
        self._found = found
        self._stored = stored

    async def carry_out(self, change: changes.Change) -> Answer:
        """Insert the rows, note one event for all that are new, and tell each blob's fate."""
        if self._stored.blobs:
            self._stored.kept |= await rows.insert_blobs(
                change.connection, self._namespace_id, self._stored.blobs, change.caller.principal
            )
            await fact_rows.insert_all(change.connection, self._namespace_id, self._looked)
        new = [blob for blob in self._stored.blobs if blob.storage_key in self._stored.kept]
        if new:
            after: dict[str, events.Json] = {
                "blobs": [{"digest": b.digest, "size_bytes": b.size_bytes} for b in new]
            }
            event = events.Event("blobs.stored", self._parent, None, after)
            change.record(self._parent.namespace, event)
        pairs = zip(self._found.blobs, self._found.found_digests, strict=True)
        return Answer(tuple(self._written(blob, found) for blob, found in pairs))

    def _written(self, blob: batches.SmallBlob, found: str) -> batches.Written:
        fate = batches.Fate()
        if blob.digest != found:
            fate = batches.wrong_bytes(blob.digest, found)
        elif blob.digest in self._stored.failures:
            fate = self._stored.failures[blob.digest]
        return batches.Written(blob.digest, len(blob.content), fate)
