"""What was true where a version came from, kept as labels `imported.*`; and reasons of imports.

The registry's own creator and times say who imported a version and when. Who made it, and when,
are facts from elsewhere, which a registry can keep but not vouch for: labels are the place.
"""

import itertools
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from modelkeep.client import refs

PREFIX = "imported."
REASON_MARK = "Imported from "
"""How every reason of an import begins; what has another reason was done by somebody since."""
_LAYOUT = "\n\r\t"
_MADE_ROOM = "replaced by "
MAX_LABELS = 64
MAX_LABEL_CHARS = 256
MAX_REASON_CHARS = 1024
MAX_ID_CHARS = 128


def instant(moment: datetime | None) -> str:
    """RFC 3339 text in UTC, or nothing."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""


def cut(text: str, most_chars: int) -> str:
    """The text without control characters, and no longer than that."""
    plain = "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)
    return (
        plain if len(plain) <= most_chars else f"{plain[: most_chars - 1]}\N{HORIZONTAL ELLIPSIS}"
    )


def laid_out(text: str, most_chars: int) -> str:
    """The text with its line breaks and tabs, else as `cut`."""
    plain = "".join(char if char in _LAYOUT else cut(char, 1) for char in text)
    if len(plain) <= most_chars:
        return plain
    return f"{plain[: most_chars - 1]}\N{HORIZONTAL ELLIPSIS}"


def labelled(
    said: Mapping[str, str], facts: Mapping[str, str], history: Iterable[str] = ()
) -> tuple[dict[str, str], int]:
    """The labels with the facts, and how many lines of history found no room whole.

    What an earlier import noted stays: the first origin is the one worth knowing.
    """
    labels = dict(said)
    for key, value in facts.items():
        if value and len(labels) < MAX_LABELS:
            labels.setdefault(f"{PREFIX}{key}", cut(value, MAX_LABEL_CHARS))
    lost = 0
    for line in history:
        has_room = len(labels) < MAX_LABELS
        lost += not has_room or len(line) > MAX_LABEL_CHARS
        if has_room:
            labels[_next_key(labels)] = cut(line, MAX_LABEL_CHARS)
    return labels, lost


def _next_key(labels: Mapping[str, str]) -> str:
    keys = (f"{PREFIX}history.{number:02}" for number in itertools.count(1))
    return next(key for key in keys if key not in labels)


def reason(origin: str, *, actor: str = "", at: datetime | None = None, why: str = "") -> str:
    """Why an import sets an alias or a stage: who did so there, when, and what was given for it."""
    return cut(_told(f"{origin}{_done('set', actor, at)}", why), MAX_REASON_CHARS)


def note(origin: str, *, actor: str = "", at: datetime | None = None, why: str = "") -> str:
    """What an import notes with an evaluation: which it was there, by whom, when, and its note."""
    return laid_out(_told(f"{origin}{_done('recorded', actor, at)}", why), MAX_REASON_CHARS)


def _done(verb: str, actor: str, at: datetime | None) -> str:
    by = f" by {actor}" if actor else ""
    when = f" at {instant(at)}" if at else ""
    return f", {verb}{by}{when}" if by or when else ""


def _told(origin: str, why: str) -> str:
    return f"{REASON_MARK}{origin}{f': {why}' if why else ''}"


def is_by_import(reason_given: str) -> bool:
    """Whether an import gave this reason, or another version made room for what it moved."""
    made_room = reason_given.startswith(_MADE_ROOM) and REASON_MARK in reason_given
    return made_room or reason_given.startswith(REASON_MARK)


def id_of(text: str, *, otherwise: str) -> str:
    """The nearest id of a model or alias; what cannot be part of one becomes `-`."""
    lowered = "".join(char if refs.ID_CHARACTER.fullmatch(char) else "-" for char in text.lower())
    return lowered.strip("._-")[:MAX_ID_CHARS].strip("._-") or otherwise


def alias_of(text: str, prefix: str) -> str:
    """The nearest alias; behind the prefix where that would read as a version or stage."""
    alias = id_of(text, otherwise=prefix.strip("-"))
    return f"{prefix}{alias}" if refs.is_reserved(alias) else alias


def label_key_of(text: str) -> str:
    """The nearest key of a label."""
    allowed = (
        char if refs.ID_CHARACTER.fullmatch(char) or char == "/" else "-" for char in text.lower()
    )
    return "".join(allowed)[:63].strip("._/-") or "tag"
