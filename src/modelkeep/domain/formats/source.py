"""Where the parsers get bytes from, and how much they may take."""

from dataclasses import dataclass
from typing import Protocol

KIB = 1024
MIB = 1024 * KIB
MAX_READ_BYTES = 32 * MIB
"""Most bytes taken of one file."""
MAX_READS = 512
"""Most requests for bytes of one file, but for those that its head answers."""
_WINDOW_BYTES = 64 * KIB
_LARGE_WINDOW_BYTES = 1 * MIB


class Malformed(Exception):
    """The bytes are not what the format says; the message tells how. Never leaves the package."""


class Cut(Exception):
    """A bound of ours ended the reading; the message tells which. Never leaves the package."""


class Source(Protocol):
    """Bytes that can be read anywhere."""

    @property
    def size_bytes(self) -> int:
        """How many there are."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), fewer only where they end. Raises `Cut`."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in memory; `whole` is False if more would follow that we did not take."""

    content: bytes
    whole: bool = True

    @property
    def size_bytes(self) -> int:
        """How many there are."""
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if not self.whole and offset + length > len(self.content):
            raise Cut(f"only the first {len(self.content):,} bytes were unpacked")
        return self.content[offset : offset + length]


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes [start, start + size_bytes) of another source."""

    whole: Source
    start: int
    size_bytes: int

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        length = min(length, self.size_bytes - offset)
        return self.whole.read(self.start + offset, length) if length > 0 else b""


class Bounded:
    """Another source, of which only so much may be read.

    Args:
        inner: where the bytes come from.
        head: its first bytes, which are there already and count for nothing.
    """

    def __init__(self, inner: Source, head: bytes) -> None:
        self._inner = inner
        self._head = head
        self._bytes_left = MAX_READ_BYTES
        self._reads_left = MAX_READS
        self._window = b""
        self._start = 0

    @property
    def size_bytes(self) -> int:
        """How many there are."""
        return self._inner.size_bytes

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        length = max(0, min(length, self.size_bytes - offset))
        if not length or offset + length <= len(self._head):
            return self._head[offset : offset + length]
        if not self._start <= offset <= self._start + len(self._window) - length:
            self._fetch(offset, length)
        at = offset - self._start
        return self._window[at : at + length]

    def _fetch(self, offset: int, length: int) -> None:
        """Get so many bytes and some more: what follows is often wanted next."""
        wanted = max(length, min(_WINDOW_BYTES, self.size_bytes - offset))
        if wanted > self._bytes_left:
            raise Cut(f"more than {MAX_READ_BYTES:,} bytes would have to be read")
        if not self._reads_left:
            raise Cut(f"more than {MAX_READS} places would have to be read")
        self._bytes_left -= wanted
        self._reads_left -= 1
        self._window, self._start = self._inner.read(offset, wanted), offset


class Cursor:
    """Reads a source from front to back through a window; skipped bytes are not fetched.

    Args:
        source: what to read.
        position: where to begin.
        end: where to stop; the source's own end if None.
    """

    def __init__(self, source: Source, position: int = 0, end: int | None = None) -> None:
        self._source = source
        self.position = position
        self.end = source.size_bytes if end is None else min(end, source.size_bytes)
        self._window = b""
        self._start = 0
        self._next_bytes = _WINDOW_BYTES

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.position >= self.end

    def take(self, length: int) -> bytes:
        """The next bytes, exactly so many; raises `Malformed` if there are not."""
        if length > self.end - self.position:
            raise Malformed(f"it ends where {length:,} more bytes are expected")
        at = self.position - self._start
        if at + length > len(self._window):
            self._fill(length)
            at = 0
        self.position += length
        return self._window[at : at + length]

    def take_byte(self) -> int:
        """The next byte; raises `Malformed` at the end."""
        at = self.position - self._start
        if at < len(self._window) and self.position < self.end:
            self.position += 1
            return self._window[at]
        return self.take(1)[0]

    def take_line(self, most: int) -> bytes:
        """The bytes before the next newline, the first `most` of them; the newline is skipped.

        Raises `Malformed` if there is no newline.
        """
        line = b""
        while True:
            if self.position - self._start >= len(self._window):
                self._fill(1)
            rest = self._rest()
            found = rest.find(b"\n")
            if found >= 0:
                self.position += found + 1
                return (line + rest[:found])[:most]
            self.position += len(rest)
            line = (line + rest[:most])[:most]

    def peek(self, length: int) -> bytes:
        """The next bytes, fewer at the end; they stay next."""
        start = self.position
        found = self.take(min(length, self.end - start))
        self.position = start
        return found

    def skip(self, length: int) -> None:
        """Go over so many bytes; raises `Malformed` if there are not."""
        if length > self.end - self.position:
            raise Malformed(f"it ends where {length:,} more bytes are expected")
        self.position += length

    def _rest(self) -> bytes:
        """What is left of the window."""
        at = self.position - self._start
        return self._window[at : at + self.end - self.position]

    def _fill(self, length: int) -> None:
        if self.end - self.position < length:
            raise Malformed("it ends too early")
        in_order = self.position <= self._start + len(self._window)
        self._next_bytes = _LARGE_WINDOW_BYTES if in_order and self._window else _WINDOW_BYTES
        wanted = min(max(length, self._next_bytes), self.end - self.position)
        self._window = self._source.read(self.position, wanted)
        self._start = self.position
        if len(self._window) < length:
            raise Malformed("it ends too early")
