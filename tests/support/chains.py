"""Audit chains and exports made for tests, without a server."""

import datetime
import hashlib
import json
from collections.abc import Sequence

import rfc8785
from cryptography.hazmat.primitives.asymmetric import ed25519

from modelkeep.audit_chain import lines, links

SEED = bytes(range(32))
OTHER_SEED = bytes(range(1, 33))
BEGINNING = links.Head(0, links.FIRST_HASH)
_START = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)


def public_key(seed: bytes = SEED) -> bytes:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def written(
    sequence: int, previous: bytes, actor: str = "ann", namespace: str = "acme"
) -> links.Link:
    """An event as the server would write it."""
    at = _START + datetime.timedelta(seconds=sequence)
    document = links.Written(
        namespace=namespace,
        sequence=sequence,
        occurred_at=at.isoformat(timespec="microseconds"),
        actor=actor,
        client="127.0.0.1:1 test",
        request_id=f"r-{sequence}",
        action="stage.set",
        resource=f"namespaces/{namespace}/models/m/versions/1.0.{sequence}",
        before='{"stage":"development"}',
        after='{"reason":"\u20ac \\"seq\\":1","stage":"staging"}',
        prev_hash=previous,
    ).document()
    return links.Link(sequence, previous, hashlib.sha256(document).digest(), document)


def chain(events: int, start: links.Head = BEGINNING, actor: str = "ann") -> list[links.Link]:
    """So many events behind an event."""
    made: list[links.Link] = []
    for sequence in range(start.sequence + 1, start.sequence + events + 1):
        made.append(written(sequence, made[-1].hash if made else start.hash, actor))
    return made


def signed(link: links.Link, seed: bytes = SEED, namespace: str = "acme") -> lines.Signed:
    """A checkpoint of an event."""
    head = links.Head(link.sequence, link.hash)
    at = _START.isoformat(timespec="microseconds")
    checkpoint = lines.Checkpoint(namespace, head, at, public_key(seed))
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    return lines.Signed(checkpoint, key.sign(checkpoint.document()))


def export(
    made: Sequence[links.Link], sealed: Sequence[int] = (), seed: bytes = SEED
) -> list[bytes]:
    """The lines of the export of a whole chain, with checkpoints of these sequences."""
    before = links.Head(made[0].sequence - 1, made[0].prev_hash)
    texts = [lines.write(lines.Start("acme", before))]
    for link in made:
        texts.append(lines.write(lines.Event("acme", link)))
        if link.sequence in sealed:
            texts.append(lines.write(signed(link, seed)))
    head = links.Head(made[-1].sequence, made[-1].hash)
    return [text.encode() for text in (*texts, lines.write(lines.End("acme", head, len(sealed))))]


def fields_of(link: links.Link) -> tuple[object, ...]:
    """An event as columns: sequence, instant, texts, `before` and `after` as JSON, hashes."""
    fields = json.loads(link.document)
    before, after = (
        None if fields[key] is None else rfc8785.dumps(fields[key]).decode()
        for key in ("before", "after")
    )
    texts = (fields[key] for key in ("occurred_at", "actor", "client", "request_id", "action"))
    return (
        link.sequence, *texts, fields["resource"], before, after, link.prev_hash, link.hash,
    )  # fmt: skip


def instant_of(text: object) -> datetime.datetime:
    """The instant of a column of `fields_of`."""
    return datetime.datetime.fromisoformat(str(text))
