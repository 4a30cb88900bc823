"""Fields of protocol buffers, read without knowing the messages.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelkeep.domain.formats import numbers, source

VARINT, I64, LEN, I32 = 0, 1, 2, 5
MAX_FIELDS = 500_000
"""Most fields read of one file."""
_VARINT_BYTES = 10
_CONTINUES, _SEVEN_BITS = 0x80, 0x7F
_FIXED = {I64: 8, I32: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, how it is written, and its value.

    `value` is the number of a VARINT; `end` is where the content of a LEN field ends, and the
    reader then stands at its beginning.
    """

    number: int
    kind: int
    value: int
    end: int


class Reader:
    """Reads messages within messages through one cursor."""

    def __init__(self, content: source.Source) -> None:
        self._cursor = source.Cursor(content)
        self._fields_left = MAX_FIELDS

    @property
    def end(self) -> int:
        """Where the outermost message ends."""
        return self._cursor.end

    def fields(self, end: int) -> Iterator[Field]:
        """The fields from here to `end`, whatever the caller reads of each.

        Raises `source.Malformed`, `source.Cut`.
        """
        while self._cursor.position < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise source.Cut(f"it has more than {MAX_FIELDS:,} fields")
            field = self._field(end)
            yield field
            self._cursor.position = field.end

    def text(self, field: Field) -> str:
        """The beginning of a LEN field's content as text."""
        length = min(field.end - self._cursor.position, numbers.TEXT_CHARS * 4)
        return numbers.clean(self._cursor.take(length).decode(errors="replace"))

    def varints(self, field: Field) -> Iterator[int]:
        """The numbers of a repeated field, packed or not."""
        if field.kind == VARINT:
            yield field.value
            return
        while self._cursor.position < field.end:
            yield self._varint()

    def _field(self, end: int) -> Field:
        number, kind = divmod(self._varint(), 8)
        if kind == VARINT:
            value = self._varint()
            return Field(number, kind, value, self._within(self._cursor.position, end))
        if kind == LEN:
            length = self._varint()
            return Field(number, kind, 0, self._within(self._cursor.position + length, end))
        if kind not in _FIXED:
            raise source.Malformed(f"there is no wire type {kind}")
        return Field(number, kind, 0, self._within(self._cursor.position + _FIXED[kind], end))

    @staticmethod
    def _within(position: int, end: int) -> int:
        if position > end:
            raise source.Malformed("a field is longer than the message around it")
        return position

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 7 * _VARINT_BYTES, 7):
            byte = self._cursor.take_byte()
            value |= (byte & _SEVEN_BITS) << shift
            if byte < _CONTINUES:
                return value
        raise source.Malformed("a number is too long")
