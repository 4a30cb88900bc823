"""What a version's signatures are worth by what its namespace trusts now."""

import asyncio
from collections.abc import Sequence

from modelkeep.attestation import bundles, certificates, faults, keys, trust
from modelkeep.domain import attestations
from modelkeep.storage import signatures as rows


async def judge(
    stored: Sequence[rows.Stored], signers: Sequence[attestations.TrustedSigner]
) -> tuple[attestations.Judgement, ...]:
    """Judge signatures by these signers, in a thread: a bundle has up to 2 MiB."""
    if not stored:
        return ()
    return await asyncio.to_thread(_judge_all, stored, signers)


def _judge_all(
    stored: Sequence[rows.Stored], signers: Sequence[attestations.TrustedSigner]
) -> tuple[attestations.Judgement, ...]:
    trusted = [(signer, trusted_of(signer.fields.proof)) for signer in signers]
    return tuple(_judge(one, trusted) for one in stored)


def trusted_of(proof: attestations.Proof) -> trust.Trusted:
    """What verifies a signer's signatures; raises `faults.Fault`."""
    if proof.public_key:
        return keys.load_public(proof.public_key)
    return trust.TrustedIdentity(
        proof.identity,
        proof.issuer,
        certificates.load_anchors(proof.roots),
        keys.load_public(proof.log_key) if proof.log_key else None,
    )


def _judge(
    stored: rows.Stored, trusted: Sequence[tuple[attestations.TrustedSigner, trust.Trusted]]
) -> attestations.Judgement:
    signature = stored.signature
    witnessed_at = signature.created_at
    bundle = bundles.read(stored.bundle)
    closest = ""
    for signer, proof in trusted:
        try:
            signed_at = trust.require_signed_by(bundle, proof, witnessed_at)
        except faults.Fault as fault:
            closest = closest or _near(signer, signature, fault)
            continue
        outside = attestations.reason_outside(signer, signed_at)
        if not outside:
            reason = f"{signer.name.signer} signed it"
            return attestations.Judgement(signature, signer.name, signed_at, reason)
        closest = outside
    return attestations.Judgement(signature, None, witnessed_at, closest or _stranger(signature))


def _near(
    signer: attestations.TrustedSigner, signature: attestations.Signature, fault: faults.Fault
) -> str:
    """Why it is not a signer's, if it says that it is theirs."""
    proof = signer.fields.proof
    claimed = proof.identity in signature.identities or signer.key_id == signature.key_hint != ""
    return f"it is not {signer.name.signer}'s: {fault}" if claimed else ""


def _stranger(signature: attestations.Signature) -> str:
    """Who signed it, whom nobody trusts."""
    if signature.kind is attestations.SignerKind.IDENTITY:
        who = ", ".join(signature.identities) or "a certificate that names nobody"
        by = f" (by {signature.issuer})" if signature.issuer else ""
        return f"{who}{by} is not trusted in this namespace"
    if signature.key_hint:
        return f"key {signature.key_hint[:16]} is not trusted in this namespace"
    return "no key that is trusted in this namespace signed it"
