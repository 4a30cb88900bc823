"""What the hash of an event covers: RFC 8785 JSON, the hash of the event before included."""

import hashlib
from dataclasses import dataclass
from json import encoder

FIRST_HASH = bytes(32)
"""What the first event of a chain names as its predecessor."""
REGISTRY = "_registry"
"""The chain of the registry itself; no namespace can be called so."""

_SEQUENCE = b'"seq":'


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of a chain, or of a part of one: its sequence and its hash."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """An event as it stands in a chain.

    Attributes:
        sequence: the place that it claims.
        prev_hash: the hash of its predecessor, as it claims.
        hash: its own, as was stored.
        document: what the hash must be of; `seq` comes last in it.
    """

    sequence: int
    prev_hash: bytes
    hash: bytes
    document: bytes

    def fits_as(self, sequence: int) -> bool:
        """Whether the hash is that of this event with this sequence."""
        if sequence == self.sequence:
            return hashlib.sha256(self.document).digest() == self.hash
        start = self.document.rindex(_SEQUENCE) + len(_SEQUENCE)
        return hashlib.sha256(b"%b%d}" % (self.document[:start], sequence)).digest() == self.hash

    def follows(self, head: Head) -> bool:
        """Whether it is the event that comes next."""
        return (
            self.sequence == head.sequence + 1
            and self.prev_hash == head.hash
            and self.fits_as(self.sequence)
        )


@dataclass(frozen=True, slots=True)
class Written:
    """The fields of an event, as texts; `before` and `after` are RFC 8785 JSON or None.

    Attributes:
        credential: what the actor presented, or ''. It stands in the document only if there is
            one, so events from before it was known are what they were.
    """

    namespace: str
    sequence: int
    occurred_at: str
    actor: str
    client: str
    request_id: str
    action: str
    resource: str
    before: str | None
    after: str | None
    prev_hash: bytes
    credential: str = ""

    def document(self) -> bytes:
        """RFC 8785 JSON of the event: keys in order, no blanks, `seq` last."""
        text = encoder.encode_basestring  # escapes exactly what RFC 8785 says
        shown = f'"credential":{text(self.credential)},' if self.credential else ""
        return (
            f'{{"action":{text(self.action)},"actor":{text(self.actor)},'
            f'"after":{self.after or "null"},"before":{self.before or "null"},'
            f'"client":{text(self.client)},{shown}"namespace":{text(self.namespace)},'
            f'"occurred_at":{text(self.occurred_at)},"prev_hash":"{self.prev_hash.hex()}",'
            f'"request_id":{text(self.request_id)},"resource":{text(self.resource)},'
            f'"seq":{self.sequence}}}'
        ).encode()
