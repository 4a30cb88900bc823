"""Whether bytes that come out of the store are the ones that went in, and where they are not."""

from dataclasses import dataclass

import google_crc32c

from modelkeep.domain import errors, names, uploads
from modelkeep.storage import files


class PartCheck:
    """Follows a blob's bytes in order and compares each whole part with its checksum.

    Args:
        blob: what is being read; without checksums of parts it counts as one part.
        offset: of the first byte that will come.
    """

    def __init__(self, blob: files.StoredBlob, offset: int = 0) -> None:
        parted = bool(blob.part_crc32cs)
        self._layout = uploads.Layout(
            blob.size_bytes, blob.part_size_bytes if parted else max(blob.size_bytes, 1)
        )
        self._crc32cs = blob.part_crc32cs if parted else (blob.crc32c,)
        self._offset = offset
        self._crc32c = 0
        self._whole = False

    def follow(self, content: bytes) -> uploads.ByteRange | None:
        """Take more bytes in; the first part they complete that is not what it was, or None."""
        taken = 0
        while taken < len(content):
            number = self._layout.number_at(self._offset)
            part = self._layout.range_of(number)
            end = taken + min(len(content) - taken, part.end - self._offset)
            self._take(content[taken:end], part)
            taken = end
            if self._offset == part.end and self._is_wrong(number):
                return part
        return None

    def _take(self, piece: bytes, part: uploads.ByteRange) -> None:
        if self._offset == part.start:
            self._crc32c, self._whole = 0, True
        if self._whole:  # of a part whose first bytes were not asked for nothing can be said
            self._crc32c = google_crc32c.extend(self._crc32c, piece)
        self._offset += len(piece)

    def _is_wrong(self, number: int) -> bool:
        return self._whole and self._crc32c != self._crc32cs[number - 1]


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are not there, or not the ones that were stored.

    Attributes:
        at: where they lie, as far as that can be told.
        lost: whether the store has nothing at all.
        detail: what is wrong, as the end of a sentence about the file.
    """

    at: uploads.ByteRange
    lost: bool
    detail: str


def damaged(at: uploads.ByteRange) -> Damage:
    """The store answers other bytes than it was given."""
    return Damage(at, lost=False, detail=f"bytes {at.start:,} to {at.end:,} are damaged")


def lost(blob: files.StoredBlob) -> Damage:
    """The store has no such object."""
    return Damage(uploads.ByteRange(0, blob.size_bytes), lost=True, detail="its bytes are lost")


def cut(at: uploads.ByteRange) -> Damage:
    """The object ends too early, or another has taken its place."""
    return Damage(at, lost=False, detail=f"its bytes from {at.start:,} on are lost")


def resized(blob: files.StoredBlob, found_bytes: int) -> Damage:
    """The object has another size than the blob."""
    at = uploads.ByteRange(min(found_bytes, blob.size_bytes), max(found_bytes, blob.size_bytes))
    detail = f"there are {found_bytes:,} bytes instead of {blob.size_bytes:,}"
    return Damage(at, lost=False, detail=detail)


def loss(
    name: names.FileName | names.BlobName, blob: files.StoredBlob, damage: Damage
) -> errors.DataLoss:
    """The error about damage that somebody met who reads a file or a blob."""
    path = name.path if isinstance(name, names.FileName) else ""
    return errors.DataLoss(
        f"{shown(name)} cannot be trusted: {damage.detail} in the store; "
        "push a copy of the same bytes to repair it, or restore the store from a backup",
        reason="BLOB_LOST_BY_STORE" if damage.lost else "BLOB_DAMAGED_IN_STORE",
        resource=name,
        path=path,
        digest=blob.digest,
        offset=damage.at.start,
        length=damage.at.end - damage.at.start,
    )


def shown(name: names.FileName | names.BlobName) -> str:
    """A file or blob as people call it."""
    return f"{name.path} of {name.version}" if isinstance(name, names.FileName) else str(name)
