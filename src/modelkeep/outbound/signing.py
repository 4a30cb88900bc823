"""Signs what others shall be able to verify without us: Ed25519, after RFC 8032."""

from collections.abc import Sequence

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import ed25519

from modelkeep.audit_chain import lines
from modelkeep.domain import audit


class Signer:
    """Signs with the first of the keys, and knows checkpoints of any of them.

    Args:
        seeds: 32 bytes each; none if the server has no key.
    """

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._keys = [ed25519.Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]
        self._public = [key.public_key().public_bytes_raw() for key in self._keys]

    @property
    def has_key(self) -> bool:
        """Whether it can sign."""
        return bool(self._keys)

    @property
    def keys(self) -> list[audit.Key]:
        """The public keys; the first is the one that signs."""
        return [audit.Key(key, signs=not number) for number, key in enumerate(self._public)]

    @property
    def public_key(self) -> bytes:
        """The public key of what it signs."""
        return self._public[0]

    def sign(self, document: bytes) -> bytes:
        """The signature of a document."""
        return self._keys[0].sign(document)

    def knows(self, signed: lines.Signed) -> bool:
        """Whether it is a checkpoint of one of our keys, signed as it stands."""
        if signed.checkpoint.public_key not in self._public:
            return False
        key = self._keys[self._public.index(signed.checkpoint.public_key)]
        try:
            key.public_key().verify(signed.signature, signed.checkpoint.document())
        except exceptions.InvalidSignature:
            return False
        return True
