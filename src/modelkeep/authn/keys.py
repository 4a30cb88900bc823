"""Public keys as issuers publish them (RFC 7517), and which of them are fit for use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

MAX_KEYS = 128
_MAX_ID_CHARS = 256
_MIN_RSA_BITS = 2048
_ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""What a key of each kind can sign with; shared secrets (`oct`) are none of ours."""


class _Unfit(ValueError):
    """Why a key is not used."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key.

    Attributes:
        id: its `kid`, '' if it has none.
        algorithms: what it may have signed with.
        material: what PyJWT verifies with.
    """

    id: str
    algorithms: tuple[str, ...]
    material: Any


def fit(listed: Iterable[Any]) -> tuple[list[Key], list[str]]:
    """The keys that are fit for verifying, and why others are not."""
    found, reasons = [], []
    for number, entry in enumerate(listed):
        if number == MAX_KEYS:
            reasons.append(f"there are more than {MAX_KEYS} keys")
            break
        try:
            found.append(_key(entry))
        except (ValueError, TypeError, jwt.PyJWTError) as failure:
            reasons.append(f"key {number}: {failure or type(failure).__name__}"[:200])
    return found, reasons


def _key(entry: Any) -> Key:
    if not isinstance(entry, dict):
        raise _Unfit("is no object")
    _require_for_verifying(entry)
    kind = (str(entry.get("kty")), "" if entry.get("kty") == "RSA" else str(entry.get("crv")))
    possible = _ALGORITHMS.get(kind)
    if possible is None:
        raise _Unfit("is of a kind that is not taken")
    meant = entry.get("alg", possible[0])
    if meant not in possible:
        raise _Unfit("is meant for an algorithm that is not taken")
    material = jwt.PyJWK(entry, possible[0]).key
    if isinstance(material, rsa.RSAPublicKey) and material.key_size < _MIN_RSA_BITS:
        raise _Unfit(f"is shorter than {_MIN_RSA_BITS} bits")
    return Key(_id(entry), (meant,) if "alg" in entry else possible, material)


def _require_for_verifying(entry: dict[str, Any]) -> None:
    if "d" in entry or "k" in entry:
        raise _Unfit("is a secret key, which nobody should publish")
    if entry.get("use", "sig") != "sig":
        raise _Unfit("is not for signatures")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _Unfit("is not for verifying")


def _id(entry: dict[str, Any]) -> str:
    found = entry.get("kid", "")
    if not isinstance(found, str) or len(found) > _MAX_ID_CHARS:
        raise _Unfit("has a kid that is none")
    return found
