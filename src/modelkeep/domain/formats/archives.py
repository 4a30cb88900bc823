"""Pickles within archives and compressed files."""

import bz2
import dataclasses
import lzma
import re
import zlib
from collections.abc import Callable, Iterable

from modelkeep.domain.formats import arrays, facts, pickles, source, zips

MAX_OPENED = 128
"""Most entries opened of one archive."""
_MEMORY_BYTES = 64 * source.MIB
_STORAGE = re.compile(r"(.*/)?(data|tensors)/\d+")
_TORCH_PICKLE = re.compile(r"(.*/)?data\.pkl")
_SCRIPT_PICKLE = re.compile(r"(.*/)?constants\.pkl")
_PICKLE_NAME = re.compile(r".*\.(pkl|pickle|pk|p|dill|joblib|pth?|ckpt|bin)", re.IGNORECASE)
_TAR_AT, _TAR = 257, b"ustar"
_MAGICS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x5d\x00\x00": "lzma",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
}
_ZLIB_METHOD, _ZLIB_CHECK = 0x78, 31


def read_zip(content: source.Source) -> facts.Facts:
    """Facts of a zip archive: what it is, and what its pickles would do.

    Raises `source.Malformed`, `source.Cut`.
    """
    listed = [entry for entry in zips.entries(content) if not entry.name.endswith("/")]
    kind = _kind_of(listed)
    worth = [entry for entry in listed if not (kind != "zip" and _STORAGE.fullmatch(entry.name))]
    worth.sort(key=lambda entry: not _PICKLE_NAME.fullmatch(entry.name))
    pickle = facts.PickleFacts()
    arrays_found: list[facts.Facts] = []
    for entry in worth[:MAX_OPENED]:
        found = _entry(content, entry)
        pickle = pickle.joined(found.pickle)
        if found.format == arrays.FORMAT:
            arrays_found.append(found)
    if len(worth) > MAX_OPENED:
        left = len(worth) - MAX_OPENED
        pickle = pickle.joined(facts.unreadable(f"{left:,} of its entries were not opened"))
    whole = facts.Facts(format=kind, pickle=pickle)
    return _with_arrays(whole, arrays_found) if kind == "npz" else whole


def _with_arrays(whole: facts.Facts, found: Iterable[facts.Facts]) -> facts.Facts:
    found = tuple(found)
    counts = [one.parameter_count for one in found]
    return dataclasses.replace(
        whole,
        tensor_count=len(found),
        parameter_count=sum(filter(None, counts)) if None not in counts else None,
        dtypes=tuple(sorted({dtype for one in found for dtype in one.dtypes})),
    )


def _kind_of(listed: Iterable[zips.Entry]) -> str:
    names = [entry.name for entry in listed]
    if any(map(_TORCH_PICKLE.fullmatch, names)):
        return "torchscript" if any(map(_SCRIPT_PICKLE.fullmatch, names)) else "torch"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def _entry(content: source.Source, entry: zips.Entry) -> facts.Facts:
    try:
        opened = zips.open_entry(content, entry)
        head = opened.read(0, min(_TAR_AT + len(_TAR), opened.size_bytes))
        if arrays.looks_like(head):
            return arrays.read(opened)
        if head.startswith(zips.MAGIC) or packing_of(head):
            return facts.Facts(pickle=facts.unreadable("it has an archive within"))
        expected = _PICKLE_NAME.fullmatch(entry.name) is not None and entry.name.endswith("pkl")
        return facts.Facts(pickle=pickles.scan(opened, expected=expected))
    except (source.Malformed, source.Cut) as error:
        return facts.Facts(pickle=facts.unreadable(str(error)))


def packing_of(head: bytes) -> str:
    """What a file is compressed or packed with, '' if it is not."""
    if head[_TAR_AT:].startswith(_TAR):
        return "tar"
    if head[:1] == bytes([_ZLIB_METHOD]) and int.from_bytes(head[:2], "big") % _ZLIB_CHECK == 0:
        return "zlib"
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), "")


def read_packed(content: source.Source, packing: str) -> facts.Facts:
    """Facts of a compressed file: whether it begins with a pickle.

    Raises `source.Malformed`, `source.Cut`.
    """
    make = _UNPACKERS.get(packing)
    if make is None:
        return facts.Facts(
            format=packing, pickle=facts.unreadable(f"{packing} archives are not opened")
        )
    inner = zips.unpacked(content, make())
    head = inner.content[: _TAR_AT + len(_TAR)]
    if head.startswith(zips.MAGIC) or packing_of(head):
        pickle = facts.unreadable("it has an archive within")
    else:
        pickle = pickles.scan(inner)
    return facts.Facts(format=packing, pickle=pickle)


_UNPACKERS: dict[str, Callable[[], zips.Unpacker]] = {
    "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),  # 16: the header of gzip
    "zlib": zlib.decompressobj,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_MEMORY_BYTES),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY_BYTES),
}
