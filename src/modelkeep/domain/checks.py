"""Collects every violation of a value before raising, so that one answer names them all."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar, cast

from modelkeep.domain import errors, limits

T = TypeVar("T")

_ID = re.compile(r"[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LABEL_KEY = re.compile(r"[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
SHOWN_CHARS = 80
_LAYOUT = "\n\r\t"


class Checks:
    """A `with` block that raises `errors.InvalidArgument` at its end if anything was found."""

    def __init__(self) -> None:
        self._found: list[errors.Violation] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._found:
            raise errors.InvalidArgument(self._found)

    def require(self, ok: bool, field: str, description: str) -> bool:
        """Note a violation unless `ok`."""
        if not ok:
            self._found.append(errors.Violation(field, description))
        return ok

    @contextmanager
    def at(self, field: str) -> Iterator[None]:
        """Note what a nested value violates, under this field."""
        try:
            yield
        except errors.InvalidArgument as error:
            self._nest(field, error)

    def _nest(self, field: str, error: errors.InvalidArgument) -> None:
        for violation in error.violations:
            path = ".".join(part for part in (field, violation.field) if part).replace(".[", "[")
            self._found.append(errors.Violation(path, violation.description))

    def finish(self, build: Callable[[], T]) -> T:
        """Build the whole value, then raise if it or anything before was refused."""
        with self:
            return self.make("", build)

    def make(self, field: str, build: Callable[[], T]) -> T:
        """Build a nested value; when it is refused the surrounding block raises at its end."""
        try:
            return build()
        except errors.InvalidArgument as error:
            self._nest(field, error)
            return cast("T", None)

    def make_each(self, field: str, builds: Iterable[Callable[[], T]]) -> tuple[T, ...]:
        """Build the entries of a repeated field; those that are refused are left out."""
        made = [self.make(f"{field}[{n}]", build) for n, build in enumerate(builds)]
        return tuple(entry for entry in made if entry is not None)

    def text(
        self, field: str, value: str, most: int, *, least: int = 0, layout: bool = False
    ) -> None:
        """Length in characters and no control characters (line breaks and tabs if `layout`)."""
        if least and not value:
            self.require(False, field, "must not be empty")
        elif not least <= len(value) <= most:
            wanted = f"{least} to {most:,}" if least else f"at most {most:,}"
            self.require(False, field, f"has {len(value):,} characters; {wanted} are allowed")
        elif not value.isprintable() and _has_control(value, _LAYOUT if layout else ""):
            self.require(False, field, f"{shown(value)} contains a control character")

    def id(self, field: str, value: str) -> None:
        """An id of a namespace, model or alias."""
        self.require(
            _ID.fullmatch(value) is not None,
            field,
            f"{shown(value)} is not an id: 1 to 128 of a-z, 0-9, '.', '_' and '-', "
            "beginning and ending with a letter or digit",
        )

    def digest(self, field: str, value: str, *, optional: bool = False) -> None:
        """A content digest."""
        self.require(
            (optional and not value) or _DIGEST.fullmatch(value) is not None,
            field,
            f"{shown(value)} is not a digest: expected sha256: and 64 hex digits in lower case",
        )

    def uri(self, field: str, value: str) -> None:
        """An optional URI."""
        self.text(field, value, limits.URI_CHARS)
        self.require(
            not value or len(value) > limits.URI_CHARS or _URI.fullmatch(value) is not None,
            field,
            f"{shown(value)} is not a URI: expected a scheme, a colon and no spaces",
        )

    def json(self, field: str, value: str, most: int) -> None:
        """An optional JSON object as text."""
        self.text(field, value, most, layout=True)
        if value and len(value) <= most:
            self.require(_is_json_object(value), field, "is not a JSON object")

    def size(self, field: str, value: Sized, most: int, *, least: int = 0) -> None:
        """Number of entries."""
        wanted = f"{least} to {most:,}" if least else f"at most {most:,}"
        self.require(
            least <= len(value) <= most, field, f"has {len(value):,} entries; {wanted} are allowed"
        )

    def number(self, field: str, value: float, least: float, most: float) -> None:
        """A number within bounds (NaN is within none)."""
        self.require(least <= value <= most, field, f"is {value}; expected {least} to {most}")

    def labels(self, field: str, labels: Mapping[str, str]) -> None:
        """Labels of a resource."""
        self.size(field, labels, limits.LABELS)
        for key, value in labels.items():
            at = f"{field}[{shown(key)}]"
            self.require(
                _LABEL_KEY.fullmatch(key) is not None,
                at,
                "is not a label key: 1 to 63 of a-z, 0-9, '.', '_', '/' and '-', "
                "beginning and ending with a letter or digit",
            )
            self.text(at, value, limits.LABEL_VALUE_CHARS)


def _has_control(value: str, allowed: str) -> bool:
    return any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in value)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def shown(value: str) -> str:
    """The value as an error may repeat it: quoted, escaped, short."""
    return ascii(value if len(value) <= SHOWN_CHARS else value[: SHOWN_CHARS - 3] + "...")
