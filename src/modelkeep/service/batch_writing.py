"""A batch on its way in: checked, put into the store as one object, recorded in one change."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from modelkeep.blobs import store
from modelkeep.domain import batches, errors, events, names
from modelkeep.domain.formats import facts, reading, source
from modelkeep.service import changes, packing
from modelkeep.storage import batches as rows
from modelkeep.storage import facts as fact_rows
from modelkeep.storage import packs

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
    """What came of the blobs that were not held.

    Attributes:
        laid: the object they make, which the store took; None if there is none.
        failures: why it did not take it, for each of them.
        is_kept: whether rows refer to the object.
    """

    laid: packing.Laid | None = None
    failures: dict[str, batches.Fate] = field(default_factory=dict)
    is_kept: bool = False

    @property
    def incomplete(self) -> bool:
        """Whether the same request may succeed further when it is sent again."""
        return bool(self.failures)

    @property
    def digests(self) -> list[str]:
        """Of the blobs that the store took."""
        return [blob.digest for blob in self.laid.blobs] if self.laid else []


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
    """Puts batches into the store, a few at once."""

    def __init__(self, blobs: store.BlobStore) -> None:
        self._blobs = blobs
        self._slots = asyncio.Semaphore(_PUTS_AT_ONCE)

    @contextlib.asynccontextmanager
    async def put(self, found: Checked, held: Mapping[str, int]) -> AsyncIterator[Stored]:
        """Store the sound blobs that are not held; an object no row then refers to is deleted."""
        new = {digest: body for digest, body in found.sound.items() if digest not in held}
        stored = Stored()
        laid = packing.laid_out(new) if new else None
        try:
            if laid is not None:
                await self._put(laid, stored)
            yield stored
        finally:
            if laid is not None and not stored.is_kept and not stored.failures:
                await self._delete(laid.key)

    async def _put(self, laid: packing.Laid, stored: Stored) -> None:
        try:
            async with self._slots:
                await self._blobs.put(laid.key, [laid.content], laid.crc32c)
        except errors.ModelkeepError as error:
            fate = batches.Fate.of(error)
            stored.failures = {blob.digest: fate for blob in laid.blobs}
            return
        stored.laid = laid

    async def _delete(self, key: str) -> None:
        """Delete an object nobody refers to; if the store is away it is only garbage."""
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
        kept = await self._keep(self._stored.laid, change) if self._stored.laid else set()
        if self._stored.laid and kept:
            self._stored.is_kept = True
            new = [blob for blob in self._stored.laid.blobs if blob.digest in kept]
            after: dict[str, events.Json] = {
                "blobs": [{"digest": b.digest, "size_bytes": b.size_bytes} for b in new]
            }
            event = events.Event("blobs.stored", self._parent, None, after)
            change.record(self._parent.namespace, event)
        pairs = zip(self._found.blobs, self._found.found_digests, strict=True)
        return Answer(tuple(self._written(blob, found) for blob, found in pairs))

    async def _keep(self, laid: packing.Laid, change: changes.Change) -> set[str]:
        """Insert the blobs still missing, and what is inside of all; the digests of the former."""
        if laid.is_pack:
            await packs.insert(change.connection, laid.as_pack(self._namespace_id))
        kept = await rows.insert_blobs(
            change.connection, self._namespace_id, laid.blobs, change.caller.principal
        )
        if laid.is_pack and not kept:
            await packs.delete(change.connection, laid.key)
        await fact_rows.insert_all(change.connection, self._namespace_id, self._looked)
        return kept

    def _written(self, blob: batches.SmallBlob, found: str) -> batches.Written:
        fate = batches.Fate()
        if blob.digest != found:
            fate = batches.wrong_bytes(blob.digest, found)
        elif blob.digest in self._stored.failures:
            fate = self._stored.failures[blob.digest]
        return batches.Written(blob.digest, len(blob.content), fate)
