"""Sigstore bundles that hold a DSSE envelope around an in-toto statement.

The format is `dev.sigstore.bundle.v1.Bundle` of sigstore/protobuf-specs, written as JSON.
"""

import datetime
import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from modelkeep.attestation import faults, strict

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 2 * 1024 * 1024
"""A larger bundle is not read; the statement of 10,000 files with ordinary paths fits."""
MAX_CERTIFICATES = 8
_MAX_LOG_ENTRIES = 8
_MEDIA_TYPES = (  # not a set: what stands in a bundle need not be hashable
    MEDIA_TYPE,
    *(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2, 3)),
)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What a transparency log says it has taken in, not yet verified.

    Attributes:
        kind: kind and version of the entry, `dsse 0.0.1` for example.
        log_id: SHA-256 of the log's public key.
        index: where in the log.
        integrated_at: when, in seconds since 1970; 0 if the log does not tell.
        promise: the log's signature over all this; empty if there is none.
        body: the entry in base64, as the log signed it.
    """

    kind: str
    log_id: bytes
    index: int
    integrated_at: int
    promise: bytes
    body: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is well-formed; nothing of it is verified.

    Attributes:
        payload: the statement as it was signed.
        signature: over `message`.
        key_hint: SHA-256 of the PEM of the key; '' if the bundle does not name one.
        certificates: in DER, that of the signer first; none if a bare key signed.
        log_entries: what transparency logs say.
    """

    payload: bytes
    signature: bytes
    key_hint: str
    certificates: tuple[bytes, ...]
    log_entries: tuple[LogEntry, ...]

    @property
    def message(self) -> bytes:
        """What is signed."""
        return message(self.payload)


def message(payload: bytes) -> bytes:
    """What is signed of a statement: its pre-authentication encoding (DSSE 1.0.0, protocol)."""
    header = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} "
    return header.encode() + payload


def read(text: bytes) -> Bundle:
    """The bundle of a JSON text; raises `faults.Fault`."""
    if len(text) > MAX_BYTES:
        raise faults.Fault(
            f"the bundle has {len(text):,} bytes; at most {MAX_BYTES:,} are taken; "
            "write the statement without spaces, as modelkeep sign does"
        )
    top = strict.json_object(text, "bundle")
    if top.get("mediaType") not in _MEDIA_TYPES:
        raise faults.Fault(f"the mediaType is not {MEDIA_TYPE}")
    if "dsseEnvelope" not in top:
        raise faults.Fault("the bundle has no dsseEnvelope")
    payload, signature = _envelope(strict.mapping(top["dsseEnvelope"], "dsseEnvelope"))
    material = strict.mapping(top.get("verificationMaterial"), "verificationMaterial")
    return Bundle(payload, signature, _hint(material), _certificates(material), _logged(material))


def _envelope(envelope: dict[str, Any]) -> tuple[bytes, bytes]:
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise faults.Fault(f"the payloadType is not {PAYLOAD_TYPE}")
    signatures = strict.entries(envelope.get("signatures"), "list of signatures")
    if len(signatures) != 1:
        raise faults.Fault(f"the envelope has {len(signatures)} signatures; expected one")
    signature = strict.mapping(signatures[0], "signature")
    return (
        strict.decoded(envelope.get("payload"), "payload"),
        strict.decoded(signature.get("sig"), "signature"),
    )


def _hint(material: dict[str, Any]) -> str:
    """The key's hint, if it is one that `model_signing` writes; others mean nothing to us."""
    identifier = material.get("publicKey")
    if identifier is None:
        return ""
    hint = strict.mapping(identifier, "publicKey").get("hint")
    try:
        return strict.sha256(hint, "hint")
    except faults.Fault:
        return ""


def _certificates(material: dict[str, Any]) -> tuple[bytes, ...]:
    if "certificate" in material:
        found = [material["certificate"]]
    elif "x509CertificateChain" in material:
        chain = strict.mapping(material["x509CertificateChain"], "certificate chain")
        found = strict.entries(chain.get("certificates"), "list of certificates")
        if not 1 <= len(found) <= MAX_CERTIFICATES:
            raise faults.Fault(f"the chain has {len(found)} certificates")
    else:
        return ()
    return tuple(
        strict.decoded(strict.mapping(one, "certificate").get("rawBytes"), "certificate")
        for one in found
    )


def _logged(material: dict[str, Any]) -> tuple[LogEntry, ...]:
    found = strict.entries(material.get("tlogEntries") or [], "list of log entries")
    if len(found) > _MAX_LOG_ENTRIES:
        raise faults.Fault(f"the bundle has {len(found)} log entries")
    return tuple(_log_entry(strict.mapping(one, "log entry")) for one in found)


def _log_entry(entry: dict[str, Any]) -> LogEntry:
    kind = strict.mapping(entry.get("kindVersion") or {}, "kind of a log entry")
    log_id = strict.mapping(entry.get("logId") or {}, "id of a log")
    promise = strict.mapping(entry.get("inclusionPromise") or {}, "promise of a log")
    return LogEntry(
        kind=f"{kind.get('kind', '')} {kind.get('version', '')}",
        log_id=strict.decoded(log_id.get("keyId", ""), "id of a log"),
        index=strict.whole(entry.get("logIndex", 0), "index in the log"),
        integrated_at=strict.whole(entry.get("integratedTime") or 0, "time of a log entry"),
        promise=strict.decoded(promise.get("signedEntryTimestamp", ""), "promise of a log"),
        body=strict.text(entry.get("canonicalizedBody", ""), "body of a log entry"),
    )


def write(payload: bytes, signature: bytes, key_hint: str) -> bytes:
    """The JSON text of a bundle that was signed by a bare key."""
    return json.dumps(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key_hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": b64encode(payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": b64encode(signature).decode(), "keyid": ""}],
            },
        },
        separators=(",", ":"),
    ).encode()


def instant(seconds: int) -> datetime.datetime:
    """An instant that a log tells in seconds since 1970; raises `faults.Fault`."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise faults.Fault("the time of a log entry is not an instant") from None
