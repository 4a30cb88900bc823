"""The hash of an event is that of its whole RFC 8785 document, however the text is put together."""

import datetime
import hashlib

import pytest
import rfc8785

from modelkeep.domain import events, names
from modelkeep.storage import events as rows

AT = datetime.datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=datetime.UTC)
PLACE = rows.Place("acme", 7, AT, b"\1" * 32)
ORIGIN = rows.Origin('mal"lory', "127.0.0.1:1 \u2028 client", "r-1")
FIELDS = ({"b": 1.5, "a": {"ü": "\u20ac", "n": None}, "list": [1, True]}, {}, None)


@pytest.mark.parametrize("before", FIELDS)
@pytest.mark.parametrize("after", FIELDS)
def test_it_covers_the_canonical_document(
    before: dict[str, events.Json] | None, after: dict[str, events.Json] | None
) -> None:
    event = events.Event("version.created", names.NamespaceName("acme"), before, after)
    document = {
        "namespace": "acme",
        "seq": 7,
        "occurred_at": "2026-11-24T12:00:00.000005+00:00",
        "actor": ORIGIN.actor,
        "client": ORIGIN.client,
        "request_id": "r-1",
        "action": "version.created",
        "resource": "namespaces/acme",
        "before": before,
        "after": after,
        "prev_hash": "01" * 32,
    }
    hashed = rows.event_hash(PLACE, ORIGIN, event, rows.canonical(before), rows.canonical(after))
    assert hashed == hashlib.sha256(rfc8785.dumps(document)).digest()
