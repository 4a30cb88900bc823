"""structlog set-up: events as JSON lines (or coloured text) on stderr."""

import datetime
import json
import logging
import sys

import pydantic_core
import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str, style: str) -> None:
    """Set the least level (debug, info, warning, error) and the style (json, console)."""
    is_console = style == "console"
    # As bytes, and in few steps: each call is a line, and takes no small part of the time of one.
    structlog.configure(
        processors=[
            _lead,
            structlog.processors.format_exc_info,
            _harmless,
            structlog.dev.ConsoleRenderer() if is_console else _to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr)
        if is_console
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def _lead(
    _logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What a reader looks for first comes first."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    lead = {"timestamp": now.replace("+00:00", "Z"), "level": method, "event": event.pop("event")}
    return lead | dict(event)


def _harmless(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Nothing that was sent to us begins a line of its own or moves a reader's terminal."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = _escaped(value, kept="\n" if key == "exception" else "")
    return event


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
