"""Random messages of any type, from its descriptor alone, and spoilt bytes of such messages."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf import descriptor, message_factory
from hypothesis import strategies as st

F = descriptor.FieldDescriptor
DEPTH = 5
FIELDS = 6
HOSTILE = [
    "",
    "\x00",
    "a\nb\r\x1b[31m",
    "\u202e\u2066evil",
    "v\u0430lue",
    "../../etc/passwd",
    "'; DROP TABLE version; --",
    "%s%n{0}${jndi:x}",
    "\U0010ffff\ud7ff",
    "x" * 5000,
    "namespaces//models//",
    "namespaces/a/models/b/versions/1.0.0/files/../x",
    "a" * 129,
    "1.0.0-" + "9" * 120,
    "(((((((((((((((((((((((((((((((((",
    'metric("a") > 1e999',
    'labels.a = "\\',
]
NUMBERS = [0, 1, 2, 7, 16, 1000, 2**31 - 1, 2**31, 2**53, 2**63 - 1, -1, -(2**31), -(2**63)]
RANGES = {
    F.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    F.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    F.CPPTYPE_UINT32: (0, 2**32 - 1),
    F.CPPTYPE_UINT64: (0, 2**64 - 1),
}
Likely = Callable[[descriptor.FieldDescriptor], Sequence[str]]
"""Texts that may mean something in a field."""


@st.composite
def messages(
    draw: st.DrawFn, kind: descriptor.Descriptor, likely: Likely, depth: int = DEPTH
) -> Any:
    """A message of the type, with a few of its fields set to likely, odd or random values."""
    made: Any = message_factory.GetMessageClass(kind)()
    if not kind.fields:
        return made
    chosen = draw(st.lists(st.sampled_from(list(kind.fields)), unique=True, max_size=FIELDS))
    for field in [*chosen, *(one for one in kind.fields if one.name in {"name", "parent"})]:
        if field.message_type is None or depth:
            _put(draw, made, field, likely, depth)
    return made


@st.composite
def changed(
    draw: st.DrawFn, kind: descriptor.Descriptor, valid: list[bytes], likely: Likely
) -> Any:
    """A message that was answered well, with one to three of its fields changed."""
    made: Any = message_factory.GetMessageClass(kind).FromString(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3)) if kind.fields else 0):
        at = made
        while True:
            field = draw(st.sampled_from(list(at.DESCRIPTOR.fields)))
            inner = field.message_type is not None and not field.is_repeated
            if not (inner and at.HasField(field.name) and field.message_type.fields):
                break
            at = getattr(at, field.name)
        at.ClearField(field.name)
        _put(draw, at, field, likely, 2)
    return made


def _put(
    draw: st.DrawFn, made: Any, field: descriptor.FieldDescriptor, likely: Likely, depth: int
) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _put_entries(draw, made, field, likely, depth)
    elif field.is_repeated:
        count = draw(st.integers(0, 3))
        values = [draw(_value(field, likely, depth)) for _ in range(count)]
        getattr(made, field.name).extend(values)
    elif field.message_type is not None:
        getattr(made, field.name).CopyFrom(draw(_value(field, likely, depth)))
    else:
        setattr(made, field.name, draw(_value(field, likely, depth)))


def _put_entries(
    draw: st.DrawFn, made: Any, field: descriptor.FieldDescriptor, likely: Likely, depth: int
) -> None:
    key, value = (field.message_type.fields_by_name[part] for part in ("key", "value"))
    for _ in range(draw(st.integers(0, 2))):
        entries, at = getattr(made, field.name), draw(_value(key, likely, depth))
        if value.message_type is None:
            entries[at] = draw(_value(value, likely, depth))
        else:
            entries[at].CopyFrom(draw(_value(value, likely, depth)))


def _value(field: descriptor.FieldDescriptor, likely: Likely, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, likely, depth - 1)
    if field.type == F.TYPE_STRING:
        return _text(likely(field))
    if field.type == F.TYPE_BYTES:
        return st.binary(max_size=100)
    return _plain(field)


def _plain(field: descriptor.FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.cpp_type == F.CPPTYPE_ENUM:
        known = [value.number for value in field.enum_type.values]
        return st.sampled_from([*known, 99, -1, 2**31 - 1])
    if field.cpp_type == F.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type in RANGES:
        least, most = RANGES[field.cpp_type]
        return st.sampled_from([n for n in NUMBERS if least <= n <= most]) | st.integers(
            least, most
        )
    return st.floats(width=32 if field.cpp_type == F.CPPTYPE_FLOAT else 64) | st.just(0.5)


def _text(likely: Sequence[str]) -> st.SearchStrategy[str]:
    odd = st.sampled_from(HOSTILE) | st.text(max_size=20)
    if not likely:
        return odd
    return st.one_of(st.sampled_from(likely), st.sampled_from(likely), st.sampled_from(likely), odd)


def spoilt(valid: bytes, other: bytes, dice: random.Random) -> bytes:
    """The bytes with a few things done to them that no encoder would do."""
    raw = bytearray(valid)
    for _ in range(dice.randint(1, 4)):
        dice.choice(_SPOILERS)(raw, other, dice)
    return bytes(raw[:100_000])


def _flip(raw: bytearray, _other: bytes, dice: random.Random) -> None:
    if raw:
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)


def _insert(raw: bytearray, _other: bytes, dice: random.Random) -> None:
    at = dice.randint(0, len(raw))
    raw[at:at] = dice.randbytes(dice.randint(1, 12))


def _remove(raw: bytearray, _other: bytes, dice: random.Random) -> None:
    at = dice.randint(0, len(raw))
    del raw[at : at + dice.randint(1, 12)]


def _cut(raw: bytearray, _other: bytes, dice: random.Random) -> None:
    del raw[dice.randint(0, len(raw)) :]


def _repeat(raw: bytearray, _other: bytes, dice: random.Random) -> None:
    start = dice.randint(0, len(raw))
    piece = raw[start : start + dice.randint(1, 60)]
    raw[start:start] = piece * dice.choice([1, 2, 50])


def _splice(raw: bytearray, other: bytes, dice: random.Random) -> None:
    del raw[dice.randint(0, len(raw)) :]
    raw += other[dice.randint(0, len(other)) :]


def _overwrite(raw: bytearray, _other: bytes, dice: random.Random) -> None:
    at = dice.randint(0, len(raw))
    odd = (b"\xff" * 10, b"\x80" * 11, b"\xff\xff\xff\xff\x0f", b"\x00", b"\xc3\x28", b"\xed\xa0")
    piece = dice.choice(odd)
    raw[at : at + len(piece)] = piece


def _nest(raw: bytearray, _other: bytes, dice: random.Random) -> None:
    """Wrap it as field 1 to 15 of itself, many times: deep nesting, if the field is a message."""
    for _ in range(dice.choice([1, 3, 120])):
        tag, size = dice.randint(1, 15) << 3 | 2, len(raw)
        length = bytearray()
        while size > 0x7F:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        length.append(size)
        raw[:0] = bytes([tag]) + length


_SPOILERS = (_flip, _flip, _insert, _remove, _cut, _repeat, _splice, _overwrite, _nest)
