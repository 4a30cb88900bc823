"""Crossings of signatures and of trusted signers."""

import datetime
from functools import partial
from typing import Any

from modelkeep.domain import attestations, checks
from modelkeep.transport import convert
from modelkeep.v1 import provenance_service_pb2 as pb

_KINDS: dict[int, attestations.SignerKind] = {
    pb.SIGNER_KIND_KEY: attestations.SignerKind.KEY,
    pb.SIGNER_KIND_IDENTITY: attestations.SignerKind.IDENTITY,
}
_OUTCOMES: dict[int, attestations.Outcome] = {
    pb.SIGNATURE_OUTCOME_TRUSTED: attestations.Outcome.TRUSTED,
    pb.SIGNATURE_OUTCOME_UNTRUSTED: attestations.Outcome.UNTRUSTED,
    pb.SIGNATURE_OUTCOME_UNSIGNED: attestations.Outcome.UNSIGNED,
}


def judgement_to_wire(judgement: attestations.Judgement) -> pb.Signature:
    """A signature with what it is worth."""
    signature = judgement.signature
    return pb.Signature(
        name=str(signature.name),
        kind=convert.enum_to_wire(signature.kind, _KINDS),  # type: ignore[arg-type]
        key_hint=signature.key_hint,
        identities=signature.identities,
        issuer=signature.issuer,
        digest=signature.digest,
        size_bytes=signature.size_bytes,
        actor=signature.actor,
        create_time=convert.timestamp_to_wire(signature.created_at),
        judgement=pb.SignatureJudgement(
            trusted=judgement.is_trusted,
            trusted_signer=str(judgement.signer or ""),
            sign_time=convert.timestamp_to_wire(judgement.signed_at),
            reason=judgement.reason,
        ),
    )


def verdict_to_wire(verdict: attestations.Verdict) -> pb.GetSignatureVerdictResponse:
    """What all signatures of a version come to."""
    return pb.GetSignatureVerdictResponse(
        outcome=convert.enum_to_wire(verdict.outcome, _OUTCOMES),  # type: ignore[arg-type]
        sentence=verdict.sentence,
        evidence=verdict.evidence,
        signatures=map(judgement_to_wire, verdict.judgements),
    )


def fields_from_wire(wire: pb.TrustedSigner) -> attestations.TrustFields:
    """What is said of a signer, or `errors.InvalidArgument`."""
    found = checks.Checks()
    proof = found.make(
        "",
        partial(
            attestations.Proof,
            wire.public_key,
            wire.identity,
            wire.issuer,
            wire.roots,
            wire.log_key,
        ),
    )
    begins = instant_from_wire(found, wire, "not_before_time")
    ends = instant_from_wire(found, wire, "not_after_time")
    return found.finish(lambda: attestations.TrustFields(proof, begins, ends, wire.description))


def instant_from_wire(found: checks.Checks, message: Any, field: str) -> datetime.datetime | None:
    """An instant that need not be set; None if it is not."""
    if not message.HasField(field):
        return None
    return found.make(field, partial(convert.timestamp_from_wire, getattr(message, field)))


def signer_to_wire(signer: attestations.TrustedSigner) -> pb.TrustedSigner:
    """A trusted signer, revoked or not."""
    fields, proof, revocation = signer.fields, signer.fields.proof, signer.revocation
    return pb.TrustedSigner(
        name=str(signer.name),
        public_key=proof.public_key,
        identity=proof.identity,
        issuer=proof.issuer,
        roots=proof.roots,
        log_key=proof.log_key,
        not_before_time=convert.timestamp_to_wire(fields.not_before),
        not_after_time=convert.timestamp_to_wire(fields.not_after),
        description=fields.description,
        key_id=signer.key_id,
        algorithm=signer.algorithm,
        actor=signer.actor,
        create_time=convert.timestamp_to_wire(signer.created_at),
        revoke_time=convert.timestamp_to_wire(revocation.revoked_at if revocation else None),
        revoke_actor=revocation.actor if revocation else "",
        revoke_reason=revocation.reason if revocation else "",
        distrust_time=convert.timestamp_to_wire(revocation.distrusted_from if revocation else None),
    )
