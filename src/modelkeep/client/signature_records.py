"""What signatures, verdicts about them and trusted signers look like to the SDK."""

import enum
from dataclasses import dataclass
from datetime import datetime


class SignerKind(enum.StrEnum):
    """How a signer is known."""

    KEY = "key"
    IDENTITY = "identity"


class SignatureOutcome(enum.StrEnum):
    """What all signatures of a version come to."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature over a version, and what the server thinks of it.

    Attributes:
        name: its resource name.
        kind: whether a bare key signed, or one that a certificate names.
        key_hint: SHA-256 of the PEM of the key in hex; empty if the bundle does not tell.
        identities: those that the certificate names.
        issuer: who vouched for them, as the certificate says.
        digest: of the bundle.
        size_bytes: of the bundle.
        actor: who attached it.
        created_at: when it was attached.
        trusted: whether it counts in its namespace now.
        trusted_signer: id of the trusted signer whose it is; empty if it does not count.
        signed_at: when it was there at the latest.
        reason: why it counts or does not, a clause.
    """

    name: str
    kind: SignerKind
    key_hint: str
    identities: tuple[str, ...]
    issuer: str
    digest: str
    size_bytes: int
    actor: str
    created_at: datetime | None
    trusted: bool
    trusted_signer: str
    signed_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureVerdict:
    """Whether somebody whom the namespace trusts has signed a version."""

    outcome: SignatureOutcome
    sentence: str
    evidence: str
    signatures: tuple[Signature, ...]

    @property
    def is_trusted(self) -> bool:
        """Whether a trusted signer signed it."""
        return self.outcome is SignatureOutcome.TRUSTED


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerProof:
    """What makes signatures somebody's: a public key, or an identity with who vouches for it.

    Attributes:
        public_key: in PEM; either this or an identity.
        identity: e-mail address, URI or host name exactly as in the certificate.
        issuer: the identity provider; empty takes only certificates that name none.
        roots: certificates of the authorities in PEM.
        log_key: public key of a transparency log in PEM, or empty.
    """

    public_key: str = ""
    identity: str = ""
    issuer: str = ""
    roots: str = ""
    log_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedSigner:
    """Somebody whose signatures count in a namespace, or counted until they were revoked."""

    name: str
    proof: SignerProof
    key_id: str
    algorithm: str
    description: str
    not_before: datetime | None
    not_after: datetime | None
    actor: str
    created_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str
    revoke_reason: str
    distrusted_from: datetime | None

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSignature:
    """A signature that was verified here.

    Attributes:
        signed_name: what the signer called the model.
        files: how many files it is over.
        at: for which instant the signer's certificate was checked, or now for a key.
    """

    signed_name: str
    files: int
    at: datetime
