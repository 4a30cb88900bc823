"""Reads JSON and base64 that somebody else wrote, and nothing that could be read in two ways."""

import base64
import binascii
import json
import re
from typing import Any

from modelkeep.attestation import faults

_HEX = re.compile(r"[0-9a-f]{64}")


def json_object(text: bytes, what: str) -> dict[str, Any]:
    """The object that a JSON text is, or raise `faults.Fault`; no key may be there twice."""
    try:
        # Decoded here, because the library would also read UTF-16 and UTF-32.
        decoded_text = text.decode()
        read = json.loads(decoded_text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except faults.Fault:
        raise
    except (ValueError, RecursionError):
        raise faults.Fault(f"the {what} is not JSON") from None
    return mapping(read, what)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise faults.Fault("a key is there twice in one object, so it could be read in two ways")
    return read


def _refuse_constant(text: str) -> Any:
    raise faults.Fault(f"{text} is not a number of JSON")


def mapping(value: Any, what: str) -> dict[str, Any]:
    """The value if it is an object, or raise `faults.Fault`."""
    if not isinstance(value, dict):
        raise faults.Fault(f"the {what} is not an object")
    return value


def entries(value: Any, what: str) -> list[Any]:
    """The value if it is a list, or raise `faults.Fault`."""
    if not isinstance(value, list):
        raise faults.Fault(f"the {what} is not a list")
    return value


def text(value: Any, what: str) -> str:
    """The value if it is a text that UTF-8 can write, or raise `faults.Fault`."""
    if not isinstance(value, str) or not _is_writable(value):
        raise faults.Fault(f"the {what} is not a text")
    return value


def _is_writable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair, which JSON can spell
        return False
    return True


def sha256(value: Any, what: str) -> str:
    """The value if it is a SHA-256 in lower-case hex, or raise `faults.Fault`."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise faults.Fault(f"the {what} is not a SHA-256 in hex")
    return value


def whole(value: Any, what: str) -> int:
    """A count from 0 to 2^63 - 1, which Protobuf writes as a text, or raise `faults.Fault`."""
    shown = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,19}", shown, re.ASCII) or int(shown) >= 2**63:
        raise faults.Fault(f"the {what} is not a whole number")
    return int(shown)


def decoded(value: Any, what: str) -> bytes:
    """The bytes of a text in standard base64, or raise `faults.Fault`."""
    try:
        return base64.b64decode(text(value, what), validate=True)
    except (binascii.Error, ValueError):
        raise faults.Fault(f"the {what} is not base64") from None
