"""CRC32C of each part of a blob that is read from its first byte to its last."""

import google_crc32c

from modelkeep.domain import uploads
from modelkeep.service import hashing


class PartChecksums:
    """Takes a blob's bytes in order; what it answers is of the bytes taken so far."""

    def __init__(self, layout: uploads.Layout) -> None:
        self._layout = layout
        self._offset = 0
        self._crc32cs: list[int] = []

    @property
    def crc32cs(self) -> tuple[int, ...]:
        """Of each part that has begun."""
        return tuple(self._crc32cs)

    @property
    def whole(self) -> int:
        """Of all bytes; right at the end of the blob."""
        ranges = (self._layout.range_of(number) for number in range(1, len(self._crc32cs) + 1))
        sizes = (place.end - place.start for place in ranges)
        return hashing.combined_crc32c(zip(self._crc32cs, sizes, strict=True))

    def take(self, content: bytes) -> None:
        """Take more bytes in; meant for a thread."""
        view = memoryview(content)
        while view:
            part = self._layout.range_of(self._layout.number_at(self._offset))
            if self._offset == part.start:
                self._crc32cs.append(0)
            piece, view = view[: part.end - self._offset], view[part.end - self._offset :]
            whole = content if len(piece) == len(content) else bytes(piece)
            self._crc32cs[-1] = google_crc32c.extend(self._crc32cs[-1], whole)
            self._offset += len(piece)
