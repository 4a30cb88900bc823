"""Secrets encrypted at rest: AES-256-GCM with a key from the configuration."""

import os
from collections.abc import Sequence

from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers import aead

from modelkeep.domain import errors

_NONCE_BYTES = 12


class Sealer:
    """Encrypts with the first of its keys and decrypts with any of them.

    Args:
        keys: 32 bytes each; none means that nothing can be kept secret.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [aead.AESGCM(key) for key in keys]

    def require_key(self) -> None:
        """Raise `errors.FailedPrecondition`, saying what to set, unless there is a key."""
        if not self._ciphers:
            raise errors.FailedPrecondition(
                "the server has no key to keep secrets with: start it with MODELKEEP_SECRET_KEY, "
                "32 random bytes in base64, for example of `openssl rand -base64 32`",
                reason="SECRET_KEY_NOT_SET",
            )

    def seal(self, purpose: str, secret: str) -> bytes:
        """Encrypt a secret, bound to what it is for."""
        self.require_key()
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, secret.encode(), purpose.encode())

    def unseal(self, purpose: str, sealed: bytes) -> str:
        """What `seal` encrypted for the same purpose; `errors.FailedPrecondition` without its key.

        Nothing of the secret is in the error.
        """
        self.require_key()
        for cipher in self._ciphers:
            secret = _opened(cipher, purpose, sealed)
            if secret is not None:
                return secret
        raise errors.FailedPrecondition(
            "the secret was kept with a key that the server no longer has: add the key to "
            "MODELKEEP_SECRET_KEY, or rotate the secret",
            reason="SECRET_KEY_UNKNOWN",
        )

    def reseal(self, purpose: str, sealed: bytes) -> bytes:
        """The same secret encrypted with the first key; as it is, if that is so already.

        Raises `errors.FailedPrecondition` if no key opens it.
        """
        self.require_key()
        if _opened(self._ciphers[0], purpose, sealed) is not None:
            return sealed
        return self.seal(purpose, self.unseal(purpose, sealed))


def _opened(cipher: aead.AESGCM, purpose: str, sealed: bytes) -> str | None:
    """The secret, or None if it was encrypted with another key or for another purpose."""
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return cipher.decrypt(nonce, ciphertext, purpose.encode()).decode()
    except exceptions.InvalidTag:
        return None
