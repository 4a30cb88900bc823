"""Signing and verifying here; keys never leave. It needs the extra `signing`: import it late."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from modelkeep.attestation import bundles, certificates, faults, keys, signing, statements, trust
from modelkeep.client import errors, records, signature_records

_PREFIX = "sha256:"


def digests_of(files: Iterable[records.File]) -> dict[str, str]:
    """SHA-256 in hex of each file, by its path."""
    return {file.path: file.digest.removeprefix(_PREFIX) for file in files}


def sign(name: str, digests: Mapping[str, str], key_pem: bytes, password: bytes | None) -> bytes:
    """The bundle of a signature over these files.

    Raises:
        InvalidRequest: the key cannot be read, or there are too many files.
    """
    try:
        return signing.sign(name, digests, keys.load_private(key_pem, password))
    except faults.Fault as fault:
        raise errors.InvalidRequest(f"Nothing was signed: {fault}.", reason="BAD_KEY") from None


def check(
    bundle: bytes, digests: Mapping[str, str], whose: str, proof: signature_records.SignerProof
) -> signature_records.CheckedSignature:
    """Verify that a signer signed exactly these files, by nothing but what is here.

    Args:
        bundle: the signature.
        digests: SHA-256 in hex of each file, by its path.
        whose: what has these files, for people.
        proof: whose signature it should be; a certificate must be valid now, unless the log whose
            key is given shows an instant at which it was.

    Raises:
        DataLoss: it is not theirs, or over other files.
        InvalidRequest: the key or the certificates to verify with cannot be read.
    """
    trusted = _trusted(proof)
    try:
        read = bundles.read(bundle)
        at = trust.require_signed_by(read, trusted, datetime.now(UTC))
        statement = statements.read(read.payload)
        statements.require_same(statement, digests, whose)
    except faults.Fault as fault:
        raise errors.DataLoss(f"{whose} is not verified: {fault}.", reason="NOT_SIGNED") from None
    return signature_records.CheckedSignature(
        signed_name=statement.name, files=len(statement.digests), at=at
    )


def _trusted(proof: signature_records.SignerProof) -> trust.Trusted:
    try:
        if proof.public_key:
            return keys.load_public(proof.public_key)
        return trust.TrustedIdentity(
            proof.identity,
            proof.issuer,
            certificates.load_anchors(proof.roots),
            keys.load_public(proof.log_key) if proof.log_key else None,
        )
    except faults.Fault as fault:
        raise errors.InvalidRequest(
            f"There is nothing to verify with: {fault}.", reason="BAD_KEY"
        ) from None
