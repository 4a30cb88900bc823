"""Headers of safetensors files.

Format: 8 bytes little-endian length of the header, the header as JSON, the tensors' bytes. The
tensors cover the rest of the file without gaps and overlaps.
https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelkeep.domain.formats import facts, numbers, source

FORMAT = "safetensors"
MAX_HEADER_BYTES = 100_000_000
"""Of the format."""
READ_HEADER_BYTES = 8 * source.MIB
"""Largest header that we read."""
_PREFIX_BYTES = 8
_METADATA = "__metadata__"
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16,
    "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    dtype: str
    elements: int
    start: int
    end: int


def looks_like(head: bytes, size_bytes: int) -> bool:
    """Whether a file begins as safetensors do."""
    length = int.from_bytes(head[:_PREFIX_BYTES], "little")
    begins = len(head) > _PREFIX_BYTES and head[_PREFIX_BYTES] == ord("{")
    return begins and length <= min(MAX_HEADER_BYTES, size_bytes - _PREFIX_BYTES)


def read(content: source.Source) -> facts.Facts:
    """Facts of the header; raises `source.Malformed`, `source.Cut`."""
    length = int.from_bytes(content.read(0, _PREFIX_BYTES), "little")
    if length > READ_HEADER_BYTES:
        raise source.Cut(f"its header has {length:,} bytes; {READ_HEADER_BYTES:,} are read")
    header = _parse(content.read(_PREFIX_BYTES, length))
    metadata = _metadata(header.pop(_METADATA, {}))
    tensors = [_tensor(name, entry) for name, entry in header.items()]
    _require_cover(tensors, content.size_bytes - _PREFIX_BYTES - length)
    return facts.Facts(
        format=FORMAT,
        tensor_count=len(tensors),
        parameter_count=numbers.total(tensor.elements for tensor in tensors),
        dtypes=tuple(sorted({tensor.dtype for tensor in tensors})),
        metadata=metadata,
    )


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise source.Malformed("its header is not JSON") from None
    if not isinstance(header, dict):
        raise source.Malformed("its header is not a JSON object")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise source.Malformed("its header has a key twice")
    return found


def _metadata(entries: object) -> dict[str, str]:
    if not isinstance(entries, dict):
        raise source.Malformed(f"{_METADATA} is not a JSON object")
    if not all(isinstance(value, str) for value in entries.values()):
        raise source.Malformed(f"{_METADATA} has a value that is not a text")
    return numbers.shortened(entries)


def _tensor(name: str, entry: Any) -> _Tensor:
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise source.Malformed("a tensor lacks its dtype, shape or data_offsets") from None
    if not isinstance(dtype, str) or not isinstance(shape, list):
        raise source.Malformed("a tensor's dtype is no text or its shape no list")
    if not all(map(_is_size, (*shape, start, end))):
        raise source.Malformed("a tensor's shape or offsets are not whole numbers of 0 and more")
    tensor = _Tensor(name, numbers.clean(dtype), numbers.product(shape), start, end)
    _require_size(tensor)
    return tensor


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= numbers.MAX


def _require_size(tensor: _Tensor) -> None:
    bits = _BITS.get(tensor.dtype)
    if bits is not None and tensor.elements * bits != (tensor.end - tensor.start) * 8:
        raise source.Malformed("a tensor's shape and dtype do not fit its offsets")


def _require_cover(tensors: Iterable[_Tensor], size_bytes: int) -> None:
    """The tensors lie one behind the other and fill the rest of the file."""
    position = 0
    for tensor in sorted(tensors, key=lambda one: (one.start, one.end)):
        if tensor.end < tensor.start or tensor.end > size_bytes:
            raise source.Malformed("a tensor's offsets are beyond the file or turned around")
        if tensor.start != position:
            what = "overlap" if tensor.start < position else "have a hole between them"
            raise source.Malformed(f"two tensors {what}")
        position = tensor.end
    if position != size_bytes:
        raise source.Malformed(f"{size_bytes - position:,} bytes of it belong to no tensor")
