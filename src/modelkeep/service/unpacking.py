"""Reading small blobs out of the store, those that lie side by side by one request."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import google_crc32c

from modelkeep.blobs import store
from modelkeep.domain import errors, limits
from modelkeep.storage import files as file_rows

_GAP_BYTES = 64 * limits.KIB
"""Reading so much that nobody asked for takes less time than another request."""


@dataclass(slots=True)
class Run:
    """Blobs of one object, close together; `end` is behind the last."""

    blobs: list[file_rows.StoredBlob]
    end: int

    @property
    def start(self) -> int:
        """Where the first begins."""
        return self.blobs[0].storage_offset

    def takes(self, blob: file_rows.StoredBlob) -> bool:
        """Whether a blob that lies no earlier comes soon enough."""
        near = blob.storage_offset - self.end <= _GAP_BYTES
        return near and blob.storage_key == self.blobs[0].storage_key

    def add(self, blob: file_rows.StoredBlob) -> None:
        """Take it in."""
        self.blobs.append(blob)
        self.end = max(self.end, _end_of(blob))


def runs_of(blobs: Iterable[file_rows.StoredBlob]) -> list[Run]:
    """The blobs, in as few runs as it takes to read little else."""
    runs: list[Run] = []
    for blob in sorted(blobs, key=lambda blob: (blob.storage_key, blob.storage_offset)):
        if runs and runs[-1].takes(blob):
            runs[-1].add(blob)
        else:
            runs.append(alone(blob))
    return runs


def alone(blob: file_rows.StoredBlob) -> Run:
    """A run of one blob."""
    return Run([blob], _end_of(blob))


async def read(blobs: store.BlobStore, run: Run) -> dict[str, bytes]:
    """The bytes of a run's blobs by digest, not checked yet; raises what the store raises."""
    length = run.end - run.start
    reading = blobs.read(run.blobs[0].storage_key, run.start, length, max(length, 1))
    async with contextlib.aclosing(reading):
        whole = memoryview(b"".join([chunk async for chunk in reading]))
    return dict(_cut(whole, run))


def require_intact(blob: file_rows.StoredBlob, content: bytes) -> None:
    """Raise `errors.DataLoss` unless a blob's bytes have its CRC32C."""
    found = google_crc32c.value(content)
    if found != blob.crc32c:
        raise errors.DataLoss(
            f"{blob.digest} has CRC32C {found:08x} in the store instead of {blob.crc32c:08x}; push "
            "a copy of the same bytes to repair it, or restore the store from a backup",
            reason="BLOB_DAMAGED_IN_STORE",
        )


def _cut(whole: memoryview, run: Run) -> Iterator[tuple[str, bytes]]:
    for blob in run.blobs:
        begin = blob.storage_offset - run.start
        yield blob.digest, bytes(whole[begin : begin + blob.size_bytes])


def _end_of(blob: file_rows.StoredBlob) -> int:
    return blob.storage_offset + blob.size_bytes
