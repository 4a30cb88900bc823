"""The content field of a message, cut out of its bytes without protobuf; standard library only.

Messages that carry a file's bytes have them in field 15, `data`, the highest number, so that every
writer of protobuf puts it last. Then what stands before it is a small message of its own and the
content is one slice. Through protobuf each byte is copied once or twice more, on the event loop.
"""

_TAG = b"\x7a"
"""Field 15, length-delimited: (15 << 3) | 2."""
_SEVEN_BITS, _MORE = 0x7F, 0x80
_LONGEST_LENGTH = 5
"""Bytes of the largest length that protobuf takes."""
_SIZES = {1: 8, 5: 4}
"""Of values with a fixed size, by wire type."""
_VARINT, _LENGTH_DELIMITED = 0, 2


def joined(head: bytes, content: bytes) -> bytes:
    """The message that has the fields of `head` and this content."""
    return b"".join((head, _TAG, _varint(len(content)), content))


def cut(raw: bytes) -> tuple[bytes, bytes] | None:
    """The bytes before field 15, and its content; None if that field does not simply stand last.

    Nothing is checked but where the field is: the bytes before it are for protobuf to read, and so
    is the whole message after None.
    """
    at = _content_at(raw)
    if at is None:
        return None
    size, start = _read_varint(raw, at + 1)
    if start - at - 1 > _LONGEST_LENGTH or start + size != len(raw):
        return None
    return raw[:at], raw[start:]


def _content_at(raw: bytes) -> int | None:
    """Where the tag of field 15 is, found by walking over the fields before it."""
    at = 0
    while at < len(raw) and raw[at] != _TAG[0]:
        if raw[at] & _MORE:
            return None  # a tag of several bytes: no field of these messages
        at = _end_of_field(raw, at)
    return at if at < len(raw) else None


def _end_of_field(raw: bytes, at: int) -> int:
    kind = raw[at] & 0b111
    if kind in _SIZES:
        return at + 1 + _SIZES[kind]
    number, end = _read_varint(raw, at + 1)
    if kind == _VARINT:
        return end
    return end + number if kind == _LENGTH_DELIMITED else len(raw)


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > _SEVEN_BITS:
        digits.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends: beyond the bytes if it breaks off."""
    number = shift = 0
    while at < len(raw):
        digit = raw[at]
        number |= (digit & _SEVEN_BITS) << shift
        shift += 7
        at += 1
        if not digit & _MORE:
            return number, at
    return 0, len(raw) + 1
