"""Entries of zip archives, found as lenient loaders find them.

Checksums, flags and the names in local headers are not looked at, because loaders exist that do not
look at them either: an archive that a strict reader refuses may still be loaded. What is ambiguous
is refused here, and then taken for the worst.
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

from modelkeep.domain.formats import source

MAGIC = b"PK\x03\x04"
MAX_DIRECTORY_BYTES = 8 * source.MIB
MAX_ENTRIES = 100_000
UNPACKED_BYTES = 4 * source.MIB
"""Most bytes unpacked of one entry."""
_PACKED_CHUNK_BYTES = 4 * source.KIB
_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\x05\x06"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_MAGIC = b"PK\x06\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_MAGIC = b"PK\x06\x07"
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_CENTRAL_MAGIC = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3L2H")
_TAIL_BYTES = _END.size + 0xFFFF
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_EXTRA64 = 1
_STORED, _DEFLATED = 0, 8


class Unpacker(Protocol):
    """What zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end was reached."""

    def decompress(self, chunk: bytes, most: int, /) -> bytes:
        """At most so many of the bytes that the chunk continues."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive: its name, how it is packed, and where."""

    name: str
    method: int
    packed_bytes: int
    size_bytes: int
    header_at: int


@dataclass(frozen=True, slots=True)
class _Directory:
    count: int
    start: int
    size_bytes: int


def entries(content: source.Source) -> list[Entry]:
    """What the archive's directory lists; raises `source.Malformed`, `source.Cut`."""
    directory = _directory(content)
    if directory.size_bytes > MAX_DIRECTORY_BYTES or directory.count > MAX_ENTRIES:
        raise source.Cut(f"its directory lists {directory.count:,} entries")
    listing = content.read(directory.start, directory.size_bytes)
    found: list[Entry] = []
    position = 0
    while position < len(listing):
        entry, position = _entry(listing, position)
        found.append(entry)
    if len(found) != directory.count:
        raise source.Malformed("its directory does not list as many entries as it says")
    return found


def open_entry(content: source.Source, entry: Entry) -> source.Source:
    """The bytes of an entry, unpacked, the first of them only if it is packed and long.

    Raises `source.Malformed`, `source.Cut`.
    """
    header = content.read(entry.header_at, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(MAGIC):
        raise source.Malformed("an entry does not begin where its directory says")
    name_bytes, extra_bytes = _LOCAL.unpack(header)[-2:]
    start = entry.header_at + _LOCAL.size + name_bytes + extra_bytes
    packed = source.Part(content, start, min(entry.packed_bytes, content.size_bytes - start))
    if entry.method == _STORED:
        return packed
    if entry.method == _DEFLATED:
        return unpacked(packed, zlib.decompressobj(-zlib.MAX_WBITS))
    raise source.Cut(f"an entry is packed by method {entry.method}, which is not opened")


def unpacked(packed: source.Source, unpacker: Unpacker) -> source.Memory:
    """The first bytes that are in these; raises `source.Malformed` if there are none."""
    content, position, whole = bytearray(), 0, False
    try:
        while len(content) < UNPACKED_BYTES and not whole:
            chunk = packed.read(position, _PACKED_CHUNK_BYTES)
            if not chunk:
                break
            position += len(chunk)
            content += unpacker.decompress(chunk, UNPACKED_BYTES - len(content))
            whole = unpacker.eof
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        # A loader may have used what came before the place where it breaks.
        if not content:
            raise source.Malformed("it cannot be unpacked") from None
    return source.Memory(bytes(content), whole=whole and position >= packed.size_bytes)


def _directory(content: source.Source) -> _Directory:
    start = max(0, content.size_bytes - _TAIL_BYTES)
    tail = content.read(start, _TAIL_BYTES)
    at = tail.rfind(_END_MAGIC)
    if at < 0 or len(tail) - at < _END.size:
        raise source.Malformed("it has no directory")
    if tail.count(_END_MAGIC) > 1:
        raise source.Malformed("it may have more than one directory")
    _, _, _, _, count, size_bytes, offset, _ = _END.unpack_from(tail, at)
    stated = _Directory(count, offset, size_bytes)
    locator = tail[at - _LOCATOR.size : at] if at >= _LOCATOR.size else b""
    if locator.startswith(_LOCATOR_MAGIC):
        return _directory64(content, _LOCATOR.unpack(locator)[2], stated)
    return _placed(stated, start + at)


def _directory64(content: source.Source, record_at: int, stated: _Directory) -> _Directory:
    record = content.read(record_at, _END64.size)
    if len(record) < _END64.size or not record.startswith(_END64_MAGIC):
        raise source.Malformed("its directory is not where it says")
    *_, count, size_bytes, offset = _END64.unpack(record)
    wide = (count, offset, size_bytes)
    narrow = (stated.count, stated.start, stated.size_bytes)
    if any(a not in {b, _FULL16, _FULL32} for a, b in zip(narrow, wide, strict=True)):
        raise source.Malformed("its two directories disagree")
    return _placed(_Directory(*wide), record_at)


def _placed(directory: _Directory, end: int) -> _Directory:
    """Refuse bytes between: readers differ in where they then look for entries."""
    if directory.start + directory.size_bytes != end:
        raise source.Malformed("its directory is not where it says")
    return directory


def _entry(listing: bytes, position: int) -> tuple[Entry, int]:
    if len(listing) - position < _CENTRAL.size or not listing.startswith(_CENTRAL_MAGIC, position):
        raise source.Malformed("its directory is broken")
    fields = _CENTRAL.unpack_from(listing, position)
    method, packed_bytes, size_bytes = fields[4], fields[8], fields[9]
    name_bytes, extra_bytes, comment_bytes, header_at = *fields[10:13], fields[16]
    name_at = position + _CENTRAL.size
    extra_at = name_at + name_bytes
    extra = listing[extra_at : extra_at + extra_bytes]
    size_bytes, packed_bytes, header_at = _large(extra, (size_bytes, packed_bytes, header_at))
    name = listing[name_at:extra_at].decode(errors="replace")
    entry = Entry(name, method, packed_bytes, size_bytes, header_at)
    return entry, extra_at + extra_bytes + comment_bytes


def _large(extra: bytes, numbers: tuple[int, int, int]) -> list[int]:
    """The numbers, those that do not fit into 32 bits taken from the extra field of zip64."""
    wide = iter(_wide(extra))
    try:
        return [next(wide) if number == _FULL32 else number for number in numbers]
    except StopIteration:
        raise source.Malformed("its directory lacks a large number") from None


def _wide(extra: bytes) -> list[int]:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == _EXTRA64:
            count = min(length, len(extra) - position) // 8
            return list(struct.unpack_from(f"<{count}Q", extra, position))
        position += length
    return []
