"""Transparency logs: whether one promised to have taken a signature in, and when.

Verified is the signed entry timestamp of Rekor 1 for entries of kind `dsse` 0.0.1. Proofs of
inclusion, checkpoints and RFC 3161 timestamps are not looked at; a bundle that has only these
shows no time.
"""

import base64
import datetime
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from modelkeep.attestation import bundles, certificates, faults, keys, strict

_KIND = "dsse 0.0.1"


def proven_at(
    bundle: bundles.Bundle, named: certificates.Named, log_key: keys.PublicKey
) -> datetime.datetime | None:
    """When the log of that key took the signature in; None if it does not say.

    Raises `faults.Fault` for an entry of the log that is not about this signature, or not signed.
    """
    for entry in bundle.log_entries:
        if entry.log_id == log_key.log_id and entry.promise and entry.kind == _KIND:
            _require_promised(entry, log_key)
            _require_about(entry, bundle, named)
            return bundles.instant(entry.integrated_at)
    return None


def _require_promised(entry: bundles.LogEntry, log_key: keys.PublicKey) -> None:
    promised = {
        "body": entry.body,
        "integratedTime": entry.integrated_at,
        "logID": entry.log_id.hex(),
        "logIndex": entry.index,
    }
    # For texts in ASCII and whole numbers this is what RFC 8785 demands.
    text = json.dumps(promised, sort_keys=True, separators=(",", ":"))
    if not log_key.holds(entry.promise, text.encode()):
        raise faults.Fault("the promise of the transparency log is not of its key")


def _require_about(
    entry: bundles.LogEntry, bundle: bundles.Bundle, named: certificates.Named
) -> None:
    body = strict.json_object(strict.decoded(entry.body, "body of a log entry"), "log entry")
    spec = strict.mapping(body.get("spec"), "log entry")
    digest = strict.mapping(spec.get("payloadHash"), "digest in the log")
    signatures = strict.entries(spec.get("signatures"), "signatures in the log")
    told = (body.get("kind"), digest.get("algorithm"), digest.get("value"), signatures)
    expected = ("dsse", "sha256", hashlib.sha256(bundle.payload).hexdigest())
    if told != (*expected, [_signature(bundle, named)]):
        raise faults.Fault("the entry in the transparency log is about another signature")


def _signature(bundle: bundles.Bundle, named: certificates.Named) -> dict[str, Any]:
    pem = named.certificate.public_bytes(Encoding.PEM)
    return {
        "signature": base64.b64encode(bundle.signature).decode(),
        "verifier": base64.b64encode(pem).decode(),
    }
