"""The lines of an exported chain; docs/audit.md is their specification.

Each line is RFC 8785 JSON. What a hash or a signature covers is a value of the line as it stands
there, so nothing has to be written anew to be verified.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from modelkeep.audit_chain import links

FORMAT = "modelkeep-audit/1"
CHECKPOINT_FORMAT = "modelkeep-checkpoint/1"
KEY_ID_CHARS = 16
_EVENT = re.compile(rb'\{"event":(\{.*"seq":\d+\}),"hash":"([0-9a-f]{64})","kind":"event"\}')
_CHECKPOINT = re.compile(
    rb'\{"checkpoint":(\{.*\}),"kind":"checkpoint","signature":"([A-Za-z0-9+/]{86}==)"\}'
)


class Malformed(ValueError):
    """A line that no export of ours has; the message says why."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a file begins with: the chain, and the event before its first."""

    namespace: str
    before: links.Head


@dataclass(frozen=True, slots=True)
class Event:
    """An event with the chain that it says it is of."""

    namespace: str
    link: links.Link


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the head of a chain was.

    Attributes:
        signed_at: ISO 8601 with microseconds and `+00:00`.
        public_key: of Ed25519, 32 bytes.
    """

    namespace: str
    head: links.Head
    signed_at: str
    public_key: bytes

    @property
    def key_id(self) -> str:
        """Name of the key."""
        return key_id(self.public_key)

    def document(self) -> bytes:
        """What is signed."""
        return _text(
            {
                "format": CHECKPOINT_FORMAT,
                "hash": self.head.hash.hex(),
                "key_id": self.key_id,
                "namespace": self.namespace,
                "public_key": base64.b64encode(self.public_key).decode(),
                "seq": self.head.sequence,
                "signed_at": self.signed_at,
            }
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint with its signature, which nobody has verified yet."""

    checkpoint: Checkpoint
    signature: bytes


@dataclass(frozen=True, slots=True)
class End:
    """What a file ends with: the chain, its last event and its number of checkpoints in it."""

    namespace: str
    head: links.Head
    checkpoints: int


Line = Start | Event | Signed | End


def key_id(public_key: bytes) -> str:
    """Name of a public key: the beginning of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:KEY_ID_CHARS]


def write(line: Line) -> str:
    """The text of a line, without a line break."""
    return _written(line).decode()


def read(raw: bytes) -> Line:
    """The line of this text, which has no line break; raises `Malformed`."""
    try:
        found = _read(raw)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Malformed(f"is no line of an audit export: {error!s:.200}") from None
    if not isinstance(found, Event) and _written(found) != raw:  # an event was cut out of it
        raise Malformed("is not written as an export writes it")
    return found


def _written(line: Line) -> bytes:
    match line:
        case Event():
            event, digest = line.link.document, line.link.hash.hex()
            return b'{"event":%b,"hash":"%b","kind":"event"}' % (event, digest.encode())
        case Signed():
            signature = base64.b64encode(line.signature)
            signed = line.checkpoint.document()
            return b'{"checkpoint":%b,"kind":"checkpoint","signature":"%b"}' % (signed, signature)
        case Start():
            return _text(
                {
                    "after": line.before.sequence,
                    "format": FORMAT,
                    "kind": "start",
                    "namespace": line.namespace,
                    "prev_hash": line.before.hash.hex(),
                }
            )
        case End():
            return _text(
                {
                    "checkpoints": line.checkpoints,
                    "hash": line.head.hash.hex(),
                    "kind": "end",
                    "namespace": line.namespace,
                    "seq": line.head.sequence,
                }
            )


def _read(raw: bytes) -> Line:
    if matched := _EVENT.fullmatch(raw):
        return _event(matched[1], bytes.fromhex(matched[2].decode()))
    if matched := _CHECKPOINT.fullmatch(raw):
        return Signed(_checkpoint(_object(matched[1])), base64.b64decode(matched[2]))
    fields = _object(raw)
    match fields.get("kind"):
        case "start":
            before = links.Head(_number(fields["after"]), bytes.fromhex(fields["prev_hash"]))
            return Start(_chain(fields), before)
        case "end":
            return End(_chain(fields), _head(fields), _number(fields["checkpoints"]))
    raise ValueError("its kind is unknown")


def _event(document: bytes, digest: bytes) -> Event:
    fields = _object(document)
    previous = bytes.fromhex(fields["prev_hash"])
    return Event(_chain(fields), links.Link(_number(fields["seq"]), previous, digest, document))


def _checkpoint(fields: dict[str, Any]) -> Checkpoint:
    public_key = base64.b64decode(fields["public_key"], validate=True)
    return Checkpoint(_chain(fields), _head(fields), str(fields["signed_at"]), public_key)


def _head(fields: dict[str, Any]) -> links.Head:
    return links.Head(_number(fields["seq"]), bytes.fromhex(fields["hash"]))


def _chain(fields: dict[str, Any]) -> str:
    if not isinstance(fields["namespace"], str):
        raise TypeError("its namespace is no text")
    return fields["namespace"]


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("its sequence is no number")
    return value


def _object(raw: bytes) -> dict[str, Any]:
    found = json.loads(raw, object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise TypeError("it is no object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands twice")
    return found


def _text(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
