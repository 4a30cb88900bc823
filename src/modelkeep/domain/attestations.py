"""Signatures over versions, whom a namespace trusts, and what follows from both."""

import datetime
import enum
from dataclasses import dataclass

from modelkeep.domain import checks, limits, names


class SignerKind(enum.StrEnum):
    """How a signer is known."""

    KEY = "key"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Proof:
    """What makes a signer's signatures theirs: a key, or an identity with who vouches for it.

    Attributes:
        public_key: in PEM; '' for an identity.
        identity: e-mail address, URI or host name; '' for a key.
        issuer: the identity provider; '' for certificates that name none.
        roots: certificates of the authorities in PEM.
        log_key: public key of a transparency log in PEM; '' without one.
    """

    public_key: str = ""
    identity: str = ""
    issuer: str = ""
    roots: str = ""
    log_key: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            one = bool(self.public_key) != bool(self.identity)
            found.require(one, "public_key", "must be set, or else an identity; not both")
            found.text("identity", self.identity, limits.NAME_CHARS)
            found.text("issuer", self.issuer, limits.URI_CHARS)
            if self.identity:
                found.require(bool(self.roots), "roots", "must be set for an identity")
            elif self.public_key:
                for field in ("issuer", "roots", "log_key"):
                    found.require(not getattr(self, field), field, "goes with an identity only")

    @property
    def kind(self) -> SignerKind:
        """Whether it is a key or an identity."""
        return SignerKind.KEY if self.public_key else SignerKind.IDENTITY


@dataclass(frozen=True, slots=True)
class TrustFields:
    """What is said of a trusted signer.

    Attributes:
        proof: what makes signatures theirs.
        not_before: signatures from this instant on count; None for all before.
        not_after: signatures up to this instant count; None for all after.
        description: for people.
    """

    proof: Proof
    not_before: datetime.datetime | None = None
    not_after: datetime.datetime | None = None
    description: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)
            if self.not_before and self.not_after:
                ordered = self.not_before < self.not_after
                found.require(ordered, "not_after_time", "is not behind not_before_time")


@dataclass(frozen=True, slots=True)
class Revocation:
    """That a signer is not trusted any more.

    Attributes:
        revoked_at: since when the registry knows.
        actor: who said so.
        reason: why.
        distrusted_from: signatures from this instant on do not count; None: none ever counts.
    """

    revoked_at: datetime.datetime
    actor: str
    reason: str
    distrusted_from: datetime.datetime | None


@dataclass(frozen=True, slots=True)
class TrustedSigner:
    """Somebody whose signatures count in a namespace, or counted until they were revoked."""

    name: names.TrustedSignerName
    fields: TrustFields
    key_id: str
    algorithm: str
    actor: str
    created_at: datetime.datetime
    revocation: Revocation | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that is attached to a version; it never changes.

    Attributes:
        name: its name.
        kind: whether a bare key signed or one that a certificate names.
        key_hint: SHA-256 of the key's PEM in hex; '' if the bundle does not tell.
        identities: those that the certificate names.
        issuer: who vouched for them, as the certificate says.
        digest: of the bundle.
        size_bytes: of the bundle.
        actor: who attached it.
        created_at: when; what the registry itself has witnessed.
    """

    name: names.SignatureName
    kind: SignerKind
    key_hint: str
    identities: tuple[str, ...]
    issuer: str
    digest: str
    size_bytes: int
    actor: str
    created_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a signature is worth in its namespace now.

    Attributes:
        signature: which one.
        signer: whose it is, trusted; None if it does not count.
        signed_at: when it was there at the latest: as a log proves, or as we have witnessed.
        reason: why it counts or does not, a clause.
    """

    signature: Signature
    signer: names.TrustedSignerName | None
    signed_at: datetime.datetime
    reason: str

    @property
    def is_trusted(self) -> bool:
        """Whether it counts."""
        return self.signer is not None


class Outcome(enum.StrEnum):
    """What all signatures of a version come to."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether somebody whom the namespace trusts has signed a version: one such is enough."""

    version: names.VersionName
    judgements: tuple[Judgement, ...]

    @property
    def outcome(self) -> Outcome:
        """What they come to."""
        if any(one.is_trusted for one in self.judgements):
            return Outcome.TRUSTED
        return Outcome.UNTRUSTED if self.judgements else Outcome.UNSIGNED

    @property
    def is_trusted(self) -> bool:
        """Whether a trusted signer has signed it."""
        return self.outcome is Outcome.TRUSTED

    @property
    def evidence(self) -> str:
        """Name of the first signature that counts, or ''."""
        return next((str(one.signature.name) for one in self.judgements if one.is_trusted), "")

    @property
    def sentence(self) -> str:
        """The verdict for people, with what to do next if it is not trusted."""
        signers = sorted({one.signer.signer for one in self.judgements if one.signer})
        if signers:
            return f"{self.version} is signed by {', '.join(signers)}."
        if not self.judgements:
            return f"{self.version} is not signed; sign it with `modelkeep sign`."
        others = len(self.judgements) - 1
        more = f" ({others} more do not either)" if others else ""
        return f"The signature of {self.version} does not count: {self.judgements[0].reason}{more}."


def reason_outside(signer: TrustedSigner, signed_at: datetime.datetime) -> str:
    """Why a signature of a signer from that instant does not count, a clause, or ''."""
    fields, revocation, who = signer.fields, signer.revocation, signer.name.signer
    if revocation and (
        revocation.distrusted_from is None or signed_at >= revocation.distrusted_from
    ):
        return f"{who} was revoked: {revocation.reason}"
    if fields.not_before and signed_at < fields.not_before:
        return f"{who} is trusted from {fields.not_before:%Y-%m-%d %H:%M:%S} UTC on"
    if fields.not_after and signed_at > fields.not_after:
        return f"the trust in {who} ended at {fields.not_after:%Y-%m-%d %H:%M:%S} UTC"
    return ""
