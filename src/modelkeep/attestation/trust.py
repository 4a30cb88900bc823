"""Whom to trust, and whether a bundle is theirs."""

import datetime
from dataclasses import dataclass

from modelkeep.attestation import bundles, certificates, faults, keys, logs


@dataclass(frozen=True, slots=True)
class TrustedIdentity:
    """Somebody an authority vouches for.

    Attributes:
        identity: e-mail address, URI or host name, exactly as in the certificate.
        issuer: the identity provider; '' takes only certificates that do not name one.
        anchors: the authorities.
        log_key: of a transparency log that shows when something was signed, or None.
    """

    identity: str
    issuer: str
    anchors: certificates.Anchors
    log_key: keys.PublicKey | None = None


Trusted = keys.PublicKey | TrustedIdentity


def require_signed_by(
    bundle: bundles.Bundle, trusted: Trusted, witnessed_at: datetime.datetime
) -> datetime.datetime:
    """Raise `faults.Fault` unless that signer signed the bundle; answers when it was there.

    Args:
        bundle: what is signed.
        trusted: who should have signed it.
        witnessed_at: when somebody we believe saw it: a certificate must have been valid then, or
            when a transparency log took the signature in.
    """
    if isinstance(trusted, keys.PublicKey):
        _require_key(bundle, trusted)
        return witnessed_at
    return _require_identity(bundle, trusted, witnessed_at)


def _require_key(bundle: bundles.Bundle, key: keys.PublicKey) -> None:
    if bundle.key_hint and bundle.key_hint != key.key_id:
        raise faults.Fault(f"it names key {bundle.key_hint[:16]}, not {key.key_id[:16]}")
    if bundle.certificates and certificates.read(bundle).key.key_id != key.key_id:
        raise faults.Fault(f"the certificate is for another key than {key.key_id[:16]}")
    if not key.holds(bundle.signature, bundle.message):
        raise faults.Fault(f"the statement was not signed by key {key.key_id[:16]}, or was changed")


def _require_identity(
    bundle: bundles.Bundle, trusted: TrustedIdentity, witnessed_at: datetime.datetime
) -> datetime.datetime:
    named = require_own_key(bundle)
    if trusted.identity not in named.identities:
        raise faults.Fault(f"the certificate is for {_shown(named.identities)}")
    if trusted.issuer != named.issuer:
        raise faults.Fault(f"{named.issuer or 'nobody'} vouched for the identity")
    at = witnessed_at
    if trusted.log_key is not None:
        at = logs.proven_at(bundle, named, trusted.log_key) or witnessed_at
    certificates.require_chain(bundle, trusted.anchors, at)
    return at


def require_own_key(bundle: bundles.Bundle) -> certificates.Named:
    """What the certificate says, if its key signed the bundle; raises `faults.Fault`."""
    if not bundle.certificates:
        raise faults.Fault("a bare key signed it, and no certificate names an identity")
    named = certificates.read(bundle)
    if not named.key.holds(bundle.signature, bundle.message):
        raise faults.Fault("the key of the certificate did not sign the statement")
    return named


def _shown(identities: tuple[str, ...]) -> str:
    return ", ".join(ascii(one[:80]) for one in identities[:3]) or "nobody"
