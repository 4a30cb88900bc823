"""What must never stand in an event, whoever makes it: it is kept for ever and told to many."""

import urllib.parse
from collections.abc import Mapping

from modelkeep.domain import events

REDACTED = "[redacted]"
SECRETS = frozenset(
    {
        "access_key",
        "api_key",
        "authorization",
        "credential",
        "credentials",
        "password",
        "previous_secret",
        "private_key",
        "sealed",
        "sealed_hex",
        "secret",
        "secret_key",
        "signing_key",
        "token",
    }
)
"""Names of fields whose value is left out."""
_URL = "url"


def redacted(fields: Mapping[str, events.Json]) -> Mapping[str, events.Json]:
    """The fields of an event without secrets; the names of the fields stay.

    Of a URL only scheme and host stay: many receivers are given their secret in path or query.
    """
    if fields.keys().isdisjoint(SECRETS) and _URL not in fields:
        return fields
    return {name: _safe(name, value) for name, value in fields.items()}


def _safe(name: str, value: events.Json) -> events.Json:
    if name in SECRETS and value is not None:
        return REDACTED
    return _bare(value) if name == _URL and isinstance(value, str) else value


def _bare(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/" + (REDACTED if parts.path.strip("/") or parts.query else "")
