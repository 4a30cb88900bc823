"""Messages with far more entries than anything may have, refused before they are looked at.

Two bytes on the wire make an entry, so a message that is not too long may still have a million. To
name what is wrong with each would keep the event loop busy for many seconds.
"""

from typing import Any

from google.protobuf import message

from modelkeep.domain import limits

LARGE_BYTES = 32 * limits.KIB
"""Shorter messages cannot have enough entries to matter."""
MOST = 5 * limits.SCORES
"""Entries of one message in all: more than the largest that is allowed has."""


def field_of(message: message.Message) -> str:
    """Path of a repeated field with which the message has too many entries; '' if it has not."""
    counted = _Counted()
    counted.look(message, "")
    return counted.crowded


class _Counted:
    """Entries counted so far, and where there were too many."""

    def __init__(self) -> None:
        self.crowded = ""
        self._room = MOST

    def look(self, within: message.Message, prefix: str) -> None:
        for field, value in within.ListFields():
            path = f"{prefix}{field.name}"
            if field.is_repeated:
                self._take(path, value, nested=field.message_type is not None)
            elif field.message_type is not None:
                self.look(value, f"{path}.")
            if self.crowded:
                return

    def _take(self, path: str, entries: Any, *, nested: bool) -> None:
        self._room -= len(entries)
        if self._room < 0:
            self.crowded = path
        elif nested:
            for entry in entries.values() if hasattr(entries, "values") else entries:
                if isinstance(entry, message.Message):
                    self.look(entry, f"{path}.")
                if self.crowded:
                    return
