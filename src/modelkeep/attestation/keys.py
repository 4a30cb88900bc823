"""Keys that sign models: ECDSA on the NIST curves, each with its own hash, and Ed25519.

Which algorithm verifies is decided by the trusted key alone, never by what a bundle says.
"""

import hashlib
from dataclasses import dataclass

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from modelkeep.attestation import faults

ED25519 = "ed25519"
# Sigstore's registry of algorithms binds each curve to one hash.
_HASHES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("ecdsa-p256-sha256", hashes.SHA256()),
    "secp384r1": ("ecdsa-p384-sha384", hashes.SHA384()),
    "secp521r1": ("ecdsa-p521-sha512", hashes.SHA512()),
}
_UNSUPPORTED = "the key is of a kind that is not taken; use EC P-256, P-384, P-521 or Ed25519"
_MAX_PEM_CHARS = 8192
_Raw = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that may verify signatures of models.

    Attributes:
        algorithm: what it verifies with, `ecdsa-p256-sha256` for example.
        pem: its SubjectPublicKeyInfo.
    """

    raw: _Raw
    algorithm: str
    pem: str

    @property
    def key_id(self) -> str:
        """SHA-256 of its PEM in hex: what `model_signing` hints at it with."""
        return hashlib.sha256(self.pem.encode()).hexdigest()

    @property
    def log_id(self) -> bytes:
        """SHA-256 of its DER: what a transparency log with this key is called."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(self.raw.public_bytes(serialization.Encoding.DER, form)).digest()

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature over the message is of this key."""
        try:
            if isinstance(self.raw, ed25519.Ed25519PublicKey):
                self.raw.verify(signature, message)
            else:
                self.raw.verify(signature, message, ec.ECDSA(_HASHES[self.raw.curve.name][1]))
        except exceptions.InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key that signs models; it never leaves the client."""

    raw: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    public: PublicKey

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.algorithm}, {self.public.key_id})"

    def sign(self, message: bytes) -> bytes:
        """The signature over the message."""
        if isinstance(self.raw, ed25519.Ed25519PrivateKey):
            return self.raw.sign(message)
        return self.raw.sign(message, ec.ECDSA(_HASHES[self.raw.curve.name][1]))


def public_key(raw: object) -> PublicKey:
    """The key of the library, if it is of a kind we take; raises `faults.Fault`."""
    if isinstance(raw, ed25519.Ed25519PublicKey):
        algorithm = ED25519
    elif isinstance(raw, ec.EllipticCurvePublicKey) and raw.curve.name in _HASHES:
        algorithm = _HASHES[raw.curve.name][0]
    else:
        raise faults.Fault(_UNSUPPORTED)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return PublicKey(raw, algorithm, raw.public_bytes(serialization.Encoding.PEM, form).decode())


def load_public(pem: str) -> PublicKey:
    """The public key of a PEM text; raises `faults.Fault`."""
    if len(pem) > _MAX_PEM_CHARS:
        raise faults.Fault(f"the key has {len(pem):,} characters; {_MAX_PEM_CHARS:,} are allowed")
    if "PRIVATE KEY-----" in pem:
        raise faults.Fault("that is a private key; give the public one, and keep this to yourself")
    try:
        raw = serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        raise faults.Fault("that is not a public key in PEM (BEGIN PUBLIC KEY)") from None
    return public_key(raw)


def load_private(pem: bytes, password: bytes | None) -> PrivateKey:
    """The private key of a PEM text; raises `faults.Fault`."""
    try:
        raw = serialization.load_pem_private_key(pem, password)
    except TypeError:
        need = "the key is not encrypted; leave the password out" if password else (
            "the key is encrypted; give its password"
        )  # fmt: skip
        raise faults.Fault(need) from None
    except (ValueError, exceptions.UnsupportedAlgorithm):
        why = "that is not a private key in PEM, or the password is wrong"
        raise faults.Fault(why) from None
    if not isinstance(raw, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        raise faults.Fault(_UNSUPPORTED)
    return PrivateKey(raw, public_key(raw.public_key()))
