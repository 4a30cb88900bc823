"""Signers that a certificate names: its chain, whom it names, and who vouched for that.

The issuer of an identity stands in the extensions that Fulcio defines (its docs/oid-info.md).
"""

import datetime
from dataclasses import dataclass

from cryptography import exceptions, x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from modelkeep.attestation import bundles, faults, keys

_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_ISSUER_V1 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_UTF8_STRING = 0x0C
_SHORT_LENGTH = 0x80
MAX_PEM_CHARS = 64 * 1024
MAX_ANCHORS = 16


@dataclass(frozen=True, slots=True)
class Anchors:
    """Certificates of authorities: those that are trusted, and others that lead to them."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What a signer's certificate says; whether it is true its chain must show.

    Attributes:
        identities: e-mail addresses, URIs and host names it is for.
        issuer: which identity provider vouched for them; '' if it does not say.
        key: the key that signs.
    """

    certificate: x509.Certificate
    identities: tuple[str, ...]
    issuer: str
    key: keys.PublicKey


def load_anchors(pem: str) -> Anchors:
    """The authorities of a PEM text, self-signed ones trusted; raises `faults.Fault`."""
    if len(pem) > MAX_PEM_CHARS:
        raise faults.Fault(f"there are {len(pem):,} characters; {MAX_PEM_CHARS:,} are allowed")
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
        roots = tuple(one for one in found if one.subject == one.issuer)
        others = tuple(one for one in found if one.subject != one.issuer)
    except ValueError:
        raise faults.Fault("that is no certificate in PEM (BEGIN CERTIFICATE)") from None
    if not roots:
        raise faults.Fault("no certificate there is a root, which is issued by itself")
    if len(found) > MAX_ANCHORS:
        raise faults.Fault(f"there are {len(found)} certificates; {MAX_ANCHORS} are allowed")
    return Anchors(roots, others)


def read(bundle: bundles.Bundle) -> Named:
    """What the certificate of a bundle's signer says; raises `faults.Fault`."""
    certificate = _load(bundle.certificates[0])
    try:
        extensions = certificate.extensions
        raw_key = certificate.public_key()
    except (ValueError, x509.DuplicateExtension, exceptions.UnsupportedAlgorithm):
        raise faults.Fault("the certificate is malformed") from None
    return Named(
        certificate, _identities(extensions), _issuer(extensions), keys.public_key(raw_key)
    )


def _load(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise faults.Fault("a certificate is malformed") from None


def _identities(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        name.value
        for name in names
        if isinstance(name, (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName))
    )


def _issuer(extensions: x509.Extensions) -> str:
    values = {
        extension.oid: extension.value.value
        for extension in extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }
    try:
        if _ISSUER in values:
            return _utf8_string(values[_ISSUER])
        return values.get(_ISSUER_V1, b"").decode()
    except UnicodeDecodeError:
        raise faults.Fault("the issuer in the certificate is not UTF-8") from None


def _utf8_string(der: bytes) -> str:
    """The text of a DER UTF8String of which the length is written in one or two bytes."""
    head, content = der[:2], der[2:]
    if len(head) == 2 and head[1] == _SHORT_LENGTH + 1:  # noqa: PLR2004 - two bytes of a header
        head, content = bytes((head[0], der[2] if len(der) > 2 else 0)), der[3:]  # noqa: PLR2004
    elif len(head) == 2 and head[1] >= _SHORT_LENGTH:  # noqa: PLR2004
        raise faults.Fault("the issuer in the certificate is too long")
    if len(head) < 2 or head[0] != _UTF8_STRING or head[1] != len(content):  # noqa: PLR2004
        raise faults.Fault("the issuer in the certificate is malformed")
    return content.decode()


def require_chain(bundle: bundles.Bundle, anchors: Anchors, at: datetime.datetime) -> None:
    """Raise `faults.Fault` unless a trusted root vouches for the signer at that instant."""
    leaf, *others = map(_load, bundle.certificates)
    policy = verification.ExtensionPolicy
    authority = policy.permit_all()
    authority = authority.require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, _require_authority
    ).require_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _require_cert_sign)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(anchors.roots)))
        .time(at)
        .extension_policies(ca_policy=authority, ee_policy=policy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, [*anchors.intermediates, *others])
    except verification.VerificationError as error:
        raise faults.Fault(_plain(error, leaf, at)) from None
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise faults.Fault("the chain of the certificate is malformed") from None
    _require_may_sign(leaf)


def _plain(
    error: verification.VerificationError, leaf: x509.Certificate, at: datetime.datetime
) -> str:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begins <= at <= ends:
        return (
            f"the certificate was valid from {begins:%Y-%m-%d %H:%M:%S} to {ends:%H:%M:%S} UTC "
            f"of {ends:%Y-%m-%d}, and nothing shows that the signature was there by then"
        )
    why = str(error).partition(" (encountered")[0]
    return f"no root that is trusted here vouches for the certificate ({why})"


def _require_authority(
    _policy: verification.Policy, _certificate: x509.Certificate, value: x509.BasicConstraints
) -> None:
    if not value.ca:
        raise faults.Fault("a certificate of the chain is not of an authority")


def _require_cert_sign(
    _policy: verification.Policy, _certificate: x509.Certificate, value: x509.KeyUsage
) -> None:
    if not value.key_cert_sign:
        raise faults.Fault("a certificate of the chain may not sign others")


def _require_may_sign(leaf: x509.Certificate) -> None:
    """Code signing if the certificate says what it is for, digital signatures otherwise."""
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        may = ExtendedKeyUsageOID.CODE_SIGNING in usage
    except x509.ExtensionNotFound:
        may = _may_sign_digests(leaf)
    if not may:
        raise faults.Fault("the certificate is not for signing")


def _may_sign_digests(leaf: x509.Certificate) -> bool:
    try:
        return leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return False
