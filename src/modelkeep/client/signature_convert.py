"""Crossings of signatures and trusted signers between the wire and the SDK."""

from modelkeep.client import answers, convert, signature_records
from modelkeep.v1 import provenance_service_pb2 as pb

_KIND = "SIGNER_KIND_"
_OUTCOME = "SIGNATURE_OUTCOME_"


def signature_from_wire(wire: pb.Signature) -> signature_records.Signature:
    """A signature with what the server thinks of it."""
    judgement = wire.judgement
    return signature_records.Signature(
        name=wire.name,
        kind=answers.member(signature_records.SignerKind, pb.SignerKind, wire.kind, _KIND),
        key_hint=wire.key_hint,
        identities=tuple(wire.identities),
        issuer=wire.issuer,
        digest=wire.digest,
        size_bytes=wire.size_bytes,
        actor=wire.actor,
        created_at=convert.instant_from_wire(wire, "create_time"),
        trusted=judgement.trusted,
        trusted_signer=judgement.trusted_signer.rpartition("/")[2],
        signed_at=convert.instant_from_wire(judgement, "sign_time"),
        reason=judgement.reason,
    )


def verdict_from_wire(
    wire: pb.GetSignatureVerdictResponse,
) -> signature_records.SignatureVerdict:
    """What all signatures come to."""
    outcomes = signature_records.SignatureOutcome
    return signature_records.SignatureVerdict(
        outcome=answers.member(outcomes, pb.SignatureOutcome, wire.outcome, _OUTCOME),
        sentence=wire.sentence,
        evidence=wire.evidence,
        signatures=tuple(map(signature_from_wire, wire.signatures)),
    )


def signer_from_wire(wire: pb.TrustedSigner) -> signature_records.TrustedSigner:
    """A trusted signer, revoked or not."""
    return signature_records.TrustedSigner(
        name=wire.name,
        proof=signature_records.SignerProof(
            public_key=wire.public_key,
            identity=wire.identity,
            issuer=wire.issuer,
            roots=wire.roots,
            log_key=wire.log_key,
        ),
        key_id=wire.key_id,
        algorithm=wire.algorithm,
        description=wire.description,
        not_before=convert.instant_from_wire(wire, "not_before_time"),
        not_after=convert.instant_from_wire(wire, "not_after_time"),
        actor=wire.actor,
        created_at=convert.instant_from_wire(wire, "create_time"),
        revoked_at=convert.instant_from_wire(wire, "revoke_time"),
        revoked_by=wire.revoke_actor,
        revoke_reason=wire.revoke_reason,
        distrusted_from=convert.instant_from_wire(wire, "distrust_time"),
    )
