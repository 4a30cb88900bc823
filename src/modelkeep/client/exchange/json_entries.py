"""Reading JSON that somebody else wrote: each value is of its type, or the error says where not."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from modelkeep.client import errors

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_INT64 = 2**63


class Entry:
    """An object of a document.

    Args:
        fields: what it has.
        where: how an error names it.
        reason: the stable reason of such errors.
    """

    def __init__(self, fields: dict[str, Any], where: str, reason: str) -> None:
        self.fields = fields
        self._where = where
        self._reason = reason

    def wrong(self, key: str, what: str) -> errors.BadSource:
        """The error that something about the field is wrong."""
        return errors.BadSource(f"{self._where}: {key} {what}.", reason=self._reason)

    def text(self, key: str, default: str | None = None) -> str:
        """The text there."""
        value = self.fields.get(key, default)
        if not isinstance(value, str) or not _is_utf8(value):
            raise self.wrong(key, "is not a text")
        return value

    def whole(self, key: str, default: int | None = None) -> int:
        """The whole number there, from 0 to 2^63 - 1; it may be written as a text."""
        value = self.fields.get(key, default)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - digits of 64 bits
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _INT64:
            raise self.wrong(key, "is not a whole number")
        return value

    def digest(self, key: str) -> str:
        """The digest there."""
        value = self.text(key)
        if not _DIGEST.fullmatch(value):
            raise self.wrong(key, "is not sha256: and 64 hex digits")
        return value

    def instant(self, key: str) -> datetime | None:
        """The instant there, in UTC; None for an empty text."""
        value = self.text(key)
        try:
            read = datetime.fromisoformat(value) if value else None
        except ValueError:
            read = datetime.min  # noqa: DTZ901 - has no zone, and is refused below for that
        if read is not None and read.tzinfo is None:
            raise self.wrong(key, "is not a time with its zone")
        return read.astimezone(UTC) if read else None

    def texts(self, key: str) -> dict[str, str]:
        """The object of texts there."""
        value = self.fields.get(key)
        if not isinstance(value, dict) or not all(
            isinstance(one, str) and _is_utf8(one) for pair in value.items() for one in pair
        ):
            raise self.wrong(key, "is not an object of texts")
        return value

    def listed_texts(self, key: str) -> list[str]:
        """The list of texts there; none if it is missing."""
        value = self.fields.get(key, [])
        if not isinstance(value, list) or not all(
            isinstance(one, str) and _is_utf8(one) for one in value
        ):
            raise self.wrong(key, "is not a list of texts")
        return value

    def entry(self, key: str) -> "Entry":
        """The object there."""
        return self._nested(self.fields.get(key), f"{self._where}: {key}", key)

    def entries(self, key: str, *, optional: bool = False) -> list["Entry"]:
        """The objects of the list there; none if it is missing and may be."""
        value = self.fields.get(key, [] if optional else None)
        if not isinstance(value, list):
            raise self.wrong(key, "is not a list")
        return [
            self._nested(one, f"{self._where}: {key}[{number}]", key)
            for number, one in enumerate(value)
        ]

    def _nested(self, value: object, where: str, key: str) -> "Entry":
        if not isinstance(value, dict):
            raise self.wrong(key, "is not an object")
        return Entry(value, where, self._reason)


def parse(raw: bytes, where: str, reason: str) -> Entry:
    """The object that a JSON document is, or BadSource."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as bad:
        raise errors.BadSource(f"{where} is not JSON: {bad}.", reason=reason) from bad
    if not isinstance(document, dict):
        raise errors.BadSource(f"{where} is not a JSON object.", reason=reason)
    return Entry(document, where, reason)


def _is_utf8(text: str) -> bool:
    # JSON can spell halves of characters, which nothing else can.
    return not any("\ud800" <= char <= "\udfff" for char in text)
