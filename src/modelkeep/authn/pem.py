"""Certificates and keys in PEM files, checked before anybody is served with them."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from modelkeep.domain import errors

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Facts:
    """What an operator wants to know of a certificate."""

    subject: str
    names: tuple[str, ...]
    expires_at: datetime.datetime


def check_pair(certificate: bytes, key: bytes) -> Facts:
    """What a certificate says, if it is good now and the key is its own.

    Raises:
        errors.FailedPrecondition: it is not; the message says why.
    """
    chain = _parsed("certificate", x509.load_pem_x509_certificates, certificate)
    own = _parsed("key", lambda raw: serialization.load_pem_private_key(raw, None), key)
    first = chain[0]
    if _spki(first.public_key()) != _spki(own.public_key()):
        raise _bad("the key is not the certificate's")
    now = datetime.datetime.now(UTC)
    if now > first.not_valid_after_utc:
        raise _bad(f"the certificate has expired, on {first.not_valid_after_utc:%Y-%m-%d}")
    if now < first.not_valid_before_utc:
        raise _bad(f"the certificate is good from {first.not_valid_before_utc:%Y-%m-%d} only")
    return Facts(first.subject.rfc4514_string(), _names(first), first.not_valid_after_utc)


def check_authorities(bundle: bytes) -> int:
    """How many authorities a file has; raises `errors.FailedPrecondition` if it has none."""
    return len(_parsed("authority", x509.load_pem_x509_certificates, bundle))


def _parsed(what: str, parse: Callable[[bytes], _Found], raw: bytes) -> _Found:
    try:
        return parse(raw)
    except TypeError:
        raise _bad(f"the {what} is encrypted; take its password away") from None
    except ValueError:
        raise _bad(f"there is no {what} in PEM in its file") from None


def _spki(public: object) -> bytes:
    encoded: bytes = public.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(name.value) for name in found.value)


def _bad(why: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(why, reason="BAD_CERTIFICATE")
