"""structlog set-up: events as JSON lines (or coloured text) on stderr."""

import json
import logging
import sys
from typing import Any

import pydantic_core
import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str, style: str) -> None:
    """Set the least level (debug, info, warning, error) and the style (json, console)."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if style == "console"
        else structlog.processors.JSONRenderer(_to_json)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _harmless,
            _lead,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


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


def _lead(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What a reader looks for first comes first."""
    first = ("timestamp", "level", "event")
    return {key: event.pop(key) for key in first if key in event} | dict(event)


def _to_json(event: dict[str, Any], **_options: Any) -> str:
    """JSON of an event, whatever is in it; the slow way only for text that is no Unicode."""
    try:
        return pydantic_core.to_json(event, fallback=repr).decode()
    except (pydantic_core.PydanticSerializationError, UnicodeEncodeError):
        return json.dumps(event, default=repr)
