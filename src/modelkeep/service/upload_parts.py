"""What uploads share, where a stream's parts go, and one part while it fills."""

import datetime
from dataclasses import dataclass, field

from modelkeep.blobs import store
from modelkeep.domain import garbage, limits, names, uploads
from modelkeep.service import budget, hashing, running_digests
from modelkeep.storage import database

_SMALL_BYTES = 64 * limits.KIB


@dataclass(frozen=True, slots=True)
class Settings:
    """How uploads are carried out; what a test wants to shorten."""

    memory_bytes: int = 64 * limits.MIB
    min_part_bytes: int = limits.MIN_PART_BYTES
    parts_in_flight: int = 3
    hash_threads: int = 2
    patience: running_digests.Patience = field(default_factory=running_digests.Patience)
    stall_s: float = 60.0
    least_bytes_per_s: int = 0
    settle_s: float = 10.0
    verify_wait_s: float = 5.0
    verify_lease_s: float = 60.0
    touch_after: datetime.timedelta = garbage.TOUCH_AFTER


@dataclass(slots=True)
class Traffic:
    """What came in on streams of this process, wanted or not."""

    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Shared:
    """What all uploads of this process share."""

    db: database.Database
    blobs: store.BlobStore
    settings: Settings
    memory: budget.MemoryBudget
    hasher: hashing.Hasher
    digests: running_digests.RunningDigests
    traffic: Traffic = field(default_factory=Traffic)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a stream's parts go."""

    name: names.UploadName
    layout: uploads.Layout
    stream: int
    storage_key: str
    multipart_id: str

    @property
    def object_key(self) -> str:
        """Key of the object.

        A whole object put in one request is replaced by the next request, so each stream has a key
        of its own and the recorded part tells which one counts. The parts of a multipart upload are
        told apart by their tags.
        """
        return self.storage_key if self.multipart_id else f"{self.storage_key}.{self.stream}"


class PartBuffer:
    """One part while it fills: the chunks as they came, never joined.

    Small chunks are gathered, because a million tiny objects would cost more than their bytes.
    """

    def __init__(self, number: int, place: uploads.ByteRange, *, skip: bool = False) -> None:
        self.number = number
        self.place = place
        self.skip = skip
        self.reserved_bytes = 0
        self.turn: running_digests.Turn | None = None
        self._left_bytes = place.end - place.start
        self._buffers: list[bytes] = []
        self._gathered = bytearray()

    @property
    def full(self) -> bool:
        """Whether the part has all its bytes."""
        return self._left_bytes == 0

    def add(self, content: bytes) -> bytes:
        """Take what belongs to this part and return the rest."""
        taken, rest = content[: self._left_bytes], content[self._left_bytes :]
        self._left_bytes -= len(taken)
        if not self.skip:
            self._keep(taken)
        return rest

    def take_buffers(self) -> list[bytes]:
        """The bytes, which are then no longer kept here."""
        self._flush()
        taken, self._buffers = self._buffers, []
        return taken

    def _keep(self, content: bytes) -> None:
        if len(content) >= _SMALL_BYTES:
            self._flush()
            self._buffers.append(content)
            return
        self._gathered += content
        if len(self._gathered) >= limits.CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._gathered:
            self._buffers.append(bytes(self._gathered))
            self._gathered = bytearray()
