"""Reading options: typed parameters, figures, labels, datasets, sizes, instants."""

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import click

from modelkeep import client

Scalar = bool | int | float | str
_Value = TypeVar("_Value")
_WHOLE = re.compile(r"[+-]?\d+")
_DAYS = re.compile(r"(\d{1,4})d?", re.ASCII)
_MOST_DAYS = 3650
_INT64 = 2**63
_PREFIXES = "KMGTP"
_SIZE = re.compile(rf"(\d+(?:\.\d+)?)\s*(?:([{_PREFIXES}])?(?(2)(i)?)B)?", re.IGNORECASE)
_QUOTES = ("'", '"')


def typed(text: str) -> Scalar:
    """A parameter's value with its type.

    `true` and `false` are booleans; what Python reads as a whole number of 64 bits is one; what it
    reads as a finite number is one; all else is text. Quotes around it make it text: `"42"`.
    """
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        return text[1:-1]
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _WHOLE.fullmatch(text) and -_INT64 <= int(text) < _INT64:
        return int(text)
    number = _finite(text)
    return text if number is None else number


def figure(text: str) -> float:
    """A metric's value: a finite number, or ValueError."""
    value = _finite(text)
    if value is None:
        raise ValueError(f"{text!r} is not a finite number")
    return value


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    # 1_000 is a number to Python and a name to everybody else.
    return value if math.isfinite(value) and "_" not in text else None


def pairs(option: str, given: Iterable[str], convert: Callable[[str], _Value]) -> dict[str, _Value]:
    """The values of a repeated `name=value` option, each name once.

    Raises:
        click.BadParameter: naming the option and the text.
    """
    read: dict[str, _Value] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint=option)
        if name in read:
            raise click.BadParameter(f"{name!r} is given twice.", param_hint=option)
        read[name] = _converted(option, name, value, convert)
    return read


def _converted(option: str, name: str, value: str, convert: Callable[[str], _Value]) -> _Value:
    try:
        return convert(value)
    except ValueError as failure:
        raise click.BadParameter(f"{name}: {failure}.", param_hint=option) from failure


def datasets(given: Iterable[str]) -> tuple[client.Dataset, ...]:
    """The datasets of repeated `NAME@REVISION` options, or click.BadParameter."""
    read = []
    for text in given:
        name, _, revision = text.rpartition("@")
        if not name or not revision:
            raise click.BadParameter(f"{text!r} is not NAME@REVISION.", param_hint="--dataset")
        read.append(client.Dataset(name, revision))
    return tuple(read)


def limit(text: str, read: Callable[[str], int]) -> int:
    """A limit above 0, or 0 for `none`; or click.BadParameter."""
    if text == "none":
        return 0
    value = read(text)
    if not 0 < value < _INT64:
        raise click.BadParameter(f"{text!r} is no limit: write one above 0, or none.")
    return value


def size_bytes(text: str) -> int:
    """Bytes from `500GiB`, `1.5 TB` or `1024`, or click.BadParameter."""
    matched = _SIZE.fullmatch(text.strip())
    if matched is None:
        raise click.BadParameter(f"{text!r} is not a size; write 500GiB, 2TiB or none.")
    number, prefix, binary = matched.groups()
    step = 1024 if binary else 1000
    return int(Decimal(number) * step ** (_PREFIXES.index(prefix.upper()) + 1 if prefix else 0))


def whole(text: str) -> int:
    """A whole number, or click.BadParameter."""
    if not _WHOLE.fullmatch(text) or len(text) > len(str(_INT64)):
        raise click.BadParameter(f"{text!r} is not a whole number of 64 bits.")
    return int(text)


def days(text: str, option: str) -> int:
    """A number of days from `90d` or `90`, 1 to 3,650, or click.BadParameter."""
    matched = _DAYS.fullmatch(text.strip())
    number = int(matched[1]) if matched else 0
    if not 0 < number <= _MOST_DAYS:
        raise click.BadParameter(
            f"{text!r} is not a number of days; write 90d, at most {_MOST_DAYS}d.",
            param_hint=option,
        )
    return number


def instant(text: str) -> datetime:
    """An aware instant from ISO 8601 text; UTC where it names no zone. Or click.BadParameter."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as failure:
        raise click.BadParameter(
            f"{text!r} is not a time; write 2026-11-24 or 2026-11-24T12:00:00Z.",
            param_hint="--at",
        ) from failure
    return read if read.tzinfo else read.replace(tzinfo=UTC)
