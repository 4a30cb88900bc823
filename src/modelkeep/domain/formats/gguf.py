"""Headers of GGUF files, versions 2 and 3, little-endian.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from dataclasses import dataclass, field

from modelkeep.domain.formats import facts, gguf_types, numbers, source

FORMAT = "gguf"
MAGIC = b"GGUF"
MAX_ENTRIES = 10_000
MAX_TENSORS = 100_000
MAX_ELEMENTS = 1_000_000
"""Most strings in the arrays of one file."""
_MAX_KEY_BYTES = 65_535
_MAX_DIMENSIONS = 8
_VERSIONS = (2, 3)
_DEPTH = 4
_ARRAY, _STRING = 9, 8
_FORMS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?"}
_FORMS |= {10: "<Q", 11: "<q", 12: "<d"}
_DEFAULT_ALIGNMENT = 32
Value = int | float | bool | str | None


def looks_like(head: bytes) -> bool:
    """Whether a file begins as GGUF files do."""
    return head.startswith(MAGIC)


def read(content: source.Source) -> facts.Facts:
    """Facts of the header; raises `source.Malformed`, `source.Cut`."""
    return _Reader(source.Cursor(content)).read()


@dataclass(slots=True)
class _Reader:
    cursor: source.Cursor
    values: dict[str, Value] = field(default_factory=dict)
    elements: int = 0
    dtypes: dict[str, int] = field(default_factory=dict)
    furthest: int = 0

    def read(self) -> facts.Facts:
        tensor_count, entry_count = self._counts()
        for _ in range(entry_count):
            self._entry()
        parameters = numbers.total(self._tensor() for _ in range(tensor_count))
        self._require_offsets()
        return facts.Facts(
            format=FORMAT,
            tensor_count=tensor_count,
            parameter_count=parameters,
            dtypes=tuple(sorted(self.dtypes)),
            architecture=self._text("general.architecture"),
            quantisation=self._quantisation(),
            metadata=self._metadata(),
        )

    def _counts(self) -> tuple[int, int]:
        self.cursor.skip(len(MAGIC))
        version = self._number("<I")
        if version not in _VERSIONS:
            raise source.Malformed("it is not of version 2 or 3, or it is big-endian")
        tensor_count, entry_count = self._number("<Q"), self._number("<Q")
        if tensor_count > MAX_TENSORS or entry_count > MAX_ENTRIES:
            raise source.Cut(f"it states {tensor_count:,} tensors and {entry_count:,} entries")
        return tensor_count, entry_count

    def _entry(self) -> None:
        key = self._string(_MAX_KEY_BYTES)
        if key in self.values:
            raise source.Malformed("it has a key twice")
        self.values[key] = self._value(self._number("<I"), _DEPTH)

    def _value(self, kind: int, depth: int) -> Value:
        if kind == _STRING:
            return self._string(numbers.MAX)
        if kind == _ARRAY:
            self._array(depth)
            return None
        return self._unpack(_form(kind))

    def _array(self, depth: int) -> None:
        kind, count = self._number("<I"), self._number("<Q")
        if kind not in {_STRING, _ARRAY}:
            self.cursor.skip(struct.calcsize(_form(kind)) * count)
            return
        self.elements += count
        if self.elements > MAX_ELEMENTS or not depth:
            raise source.Cut("its arrays are too long or too deep")
        for _ in range(count):
            if kind == _STRING:
                self._skip_string()
            else:
                self._array(depth - 1)

    def _tensor(self) -> int:
        """Read what is said of one tensor and return its number of elements."""
        self._string(_MAX_KEY_BYTES)
        dimensions = self._number("<I")
        if dimensions > _MAX_DIMENSIONS:
            raise source.Malformed(f"a tensor has {dimensions:,} dimensions")
        shape = [self._number("<Q") for _ in range(dimensions)]
        kind, offset = self._number("<I"), self._number("<Q")
        name = gguf_types.TENSOR_TYPES.get(kind, f"type {kind}")
        self.dtypes[name] = self.dtypes.get(name, 0) + 1
        self.furthest = max(self.furthest, offset)
        return numbers.product(shape)

    def _require_offsets(self) -> None:
        stated = self.values.get("general.alignment")
        alignment = stated if type(stated) is int and stated > 0 else _DEFAULT_ALIGNMENT
        begin = -(-self.cursor.position // alignment) * alignment
        if self.dtypes and begin + self.furthest >= self.cursor.end:
            raise source.Malformed("a tensor begins beyond the end of the file")

    def _quantisation(self) -> str:
        kind = self.values.get("general.file_type")
        return gguf_types.FILE_TYPES.get(kind, f"type {kind}") if type(kind) is int else ""

    def _metadata(self) -> dict[str, str]:
        kept = {key: str(value) for key, value in self.values.items() if value is not None}
        return numbers.shortened(kept)

    def _text(self, key: str) -> str:
        value = self.values.get(key)
        return numbers.clean(value) if isinstance(value, str) else ""

    def _number(self, form: str) -> int:
        return int(self._unpack(form))

    def _unpack(self, form: str) -> int | float | bool:
        value: int | float | bool
        (value,) = struct.unpack(form, self.cursor.take(struct.calcsize(form)))
        return value

    def _string(self, most: int) -> str:
        length = self._number("<Q")
        if length > most:
            raise source.Malformed(f"a name has {length:,} bytes")
        kept = min(length, numbers.TEXT_CHARS * 4)
        text = self.cursor.take(kept)
        self.cursor.skip(length - kept)
        return text.decode(errors="replace")

    def _skip_string(self) -> None:
        self.cursor.skip(int.from_bytes(self.cursor.take(8), "little"))


def _form(kind: int) -> str:
    if kind not in _FORMS:
        raise source.Malformed(f"there is no value type {kind}")
    return _FORMS[kind]
