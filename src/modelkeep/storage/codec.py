"""Domain values as JSON text, and digests as bytes."""

import functools
import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import pydantic
import pydantic_core

T = TypeVar("T")

_DIGEST_PREFIX = "sha256:"


def dump(value: object) -> str:
    """JSON text of a domain value."""
    return pydantic_core.to_json(value).decode()


def load(kind: type[T], text: str) -> T:
    """The domain value of this type that `dump` wrote, without the checks it passed back then."""
    value: T = _reader(kind).validate_json(text)  # type: ignore[arg-type]
    return value


def plain(value: object) -> Any:
    """A domain value as plain JSON values: what events carry."""
    return pydantic_core.to_jsonable_python(value)


@functools.cache
def _reader(kind: Any) -> pydantic_core.SchemaValidator:
    schema: Any = pydantic.TypeAdapter(kind).core_schema
    return pydantic_core.SchemaValidator(_unchecked(schema))


def _unchecked(schema: Any) -> Any:
    """The schema without `__post_init__`, where domain values check themselves.

    A limit that is lowered later must not make what is stored unreadable; and the checks were half
    the time of reading.
    """
    if isinstance(schema, dict):
        return {key: key != "post_init" and _unchecked(part) for key, part in schema.items()}
    if isinstance(schema, (list, tuple)):
        return [_unchecked(part) for part in schema]
    return schema


def digest_bytes(digest: str) -> bytes:
    """32 bytes of `sha256:{hex}`."""
    return bytes.fromhex(digest.removeprefix(_DIGEST_PREFIX))


def digest_text(digest: bytes | None) -> str:
    """`sha256:{hex}`, or '' for None."""
    return f"{_DIGEST_PREFIX}{digest.hex()}" if digest else ""


def crc32cs_bytes(crc32cs: Sequence[int]) -> bytes:
    """Checksums as 4 bytes each, most significant first."""
    return struct.pack(f">{len(crc32cs)}I", *crc32cs)


def crc32cs_from_bytes(packed: bytes) -> tuple[int, ...]:
    """The checksums that `crc32cs_bytes` packed."""
    return struct.unpack(f">{len(packed) // 4}I", packed)
