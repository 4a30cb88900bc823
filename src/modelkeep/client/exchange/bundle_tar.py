"""The tar of a bundle: only plain files, in the order that the index gives, nothing else.

One member is one header block and its bytes, so where each begins follows from the sizes. GNU's
binary numbers stand for sizes from 8 GiB on; names are short, so no extended header is needed.
"""

import os
import tarfile
from dataclasses import dataclass

from modelkeep.client import errors

BLOCK_BYTES = tarfile.BLOCKSIZE
_MODE = 0o644
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a link",
    tarfile.DIRTYPE: "a folder",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}


@dataclass(frozen=True, slots=True)
class Member:
    """A plain file in a tar: its name, how large it is and where its bytes begin."""

    name: str
    size_bytes: int
    start: int

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.start + padded(self.size_bytes)


def header(name: str, size_bytes: int) -> bytes:
    """The block before a member; the same whoever writes it, and whenever."""
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.mode = _MODE
    return member.tobuf(tarfile.GNU_FORMAT)


def padded(size_bytes: int) -> int:
    """How much room so many bytes take."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def ending(written_bytes: int) -> bytes:
    """What ends a tar in which so much was written: two empty blocks, and a full record."""
    least = written_bytes + 2 * BLOCK_BYTES
    return bytes(-(-least // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - written_bytes)


def read_member(descriptor: int, at: int, name: str) -> Member:
    """The member whose header begins there, which must be a plain file of that name.

    Raises:
        BadSource: it is anything else, or the tar ends.
    """
    block = os.pread(descriptor, BLOCK_BYTES, at)
    if len(block) < BLOCK_BYTES:
        raise cut_off(name)
    if not any(block):
        raise bad(f"The bundle ends where {name} should begin: it lacks members")
    found = _parsed(block, name)
    if found.name != name:
        raise bad(f"The bundle has {found.name[:200]!r} where {name} should be")
    if found.type not in _PLAIN:
        raise bad(f"The bundle's {name} is {_KINDS.get(found.type, 'no plain file')}")
    if found.size < 0:
        raise bad(f"The bundle's {name} has a size below 0")
    return Member(name, found.size, at + BLOCK_BYTES)


def _parsed(block: bytes, name: str) -> tarfile.TarInfo:
    for magic, kind in _COMPRESSED.items():
        if block.startswith(magic):
            raise bad(f"The bundle is compressed with {kind}; uncompress it first")
    try:
        found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as failure:
        raise bad(f"The bundle has no header of a tar where {name} should be") from failure
    if found.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        raise bad(
            f"The bundle has an extended header where {name} should be; write it with"
            " `modelkeep export`, or with GNU tar as --format=gnu"
        )
    return found


def check_ending(descriptor: int, at: int, size_bytes: int) -> None:
    """Require that nothing but an end of a tar follows there.

    Raises:
        BadSource: something else follows, or the end is missing.
    """
    rest_bytes = size_bytes - at
    if rest_bytes < 2 * BLOCK_BYTES:
        raise cut_off("its end")
    if rest_bytes > tarfile.RECORDSIZE + 2 * BLOCK_BYTES or any(
        os.pread(descriptor, rest_bytes, at)
    ):
        raise bad("The bundle has more members than its index lists")


def bad(sentence: str) -> errors.BadSource:
    """The error of a file that is no bundle as it should be."""
    return errors.BadSource(f"{sentence}; nothing was imported.", reason="BAD_BUNDLE")


def cut_off(name: str) -> errors.BadSource:
    """The error of a bundle of which the end is missing."""
    return bad(f"The bundle is cut off before {name}; copy or export it again")
