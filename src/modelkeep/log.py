"""structlog set-up: events as JSON lines (or coloured text) on stderr."""

import datetime
import functools
import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

import pydantic_core
import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str, style: str, worker: int | None = None) -> None:
    """Set the least level (debug, info, warning, error) and the style (json, console).

    Each line of a worker has its number.
    """
    fixed = {} if worker is None else {"worker": worker}
    is_console = style == "console"
    # As bytes, and in few steps: each call is a line, and takes no small part of the time of one.
    structlog.configure(
        processors=[
            functools.partial(_arranged, fixed),
            structlog.dev.ConsoleRenderer() if is_console else _to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr)
        if is_console
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def _arranged(
    fixed: Mapping[str, object], logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What a reader looks for first comes first, and nothing in it does harm.

    Nothing that was sent to us begins a line of its own or moves a reader's terminal.
    """
    line = {"timestamp": _now(), "level": method, "event": event.pop("event"), **fixed}
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, method, event)
    line |= event
    for key, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            line[key] = _escaped(value, kept="\n" if key == "exception" else "")
    return line


def _now() -> str:
    """This instant in UTC, to the microsecond."""
    seconds, nanos = divmod(time.time_ns(), 10**9)
    return f"{_second(seconds)}.{nanos // 1000:06}Z"


@functools.lru_cache(2)
def _second(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _escaped(text: str, kept: str) -> str:
    return "".join(
        char if char.isprintable() or char in kept else ascii(char)[1:-1] for char in text
    )


def _to_json(_logger: object, _method: str, event: structlog.typing.EventDict) -> bytes:
    """JSON of an event, whatever is in it; the slow way only for text that is no Unicode."""
    try:
        return pydantic_core.to_json(event, fallback=repr)
    except (pydantic_core.PydanticSerializationError, UnicodeEncodeError):
        return json.dumps(event, default=repr).encode()
