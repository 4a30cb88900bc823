"""Use cases of trusted signers: whose signatures count in a namespace."""

import datetime
import functools

from modelkeep.attestation import certificates, faults, keys
from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import attestations, errors, events, limits, names, pages
from modelkeep.service import changes, judging_signatures
from modelkeep.storage import codec, database
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import trusted_signers as rows


class Trusting:
    """Trusts, lists and revokes signers; a change holds the namespace."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def create(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.TrustedSignerName,
        fields: attestations.TrustFields,
    ) -> attestations.TrustedSigner:
        """Trust a key or an identity from now on.

        Raises `errors.InvalidArgument` (a key or certificates that cannot be read),
        `errors.NotFound` (namespace), `errors.AlreadyExists`, `errors.ResourceExhausted`.
        """
        policy.require(caller, policy.Action.CREATE_TRUST, name.parent)
        signer = _draft(name, fields, caller.principal)
        body = functools.partial(_create, signer)
        return await self._changes.apply(caller, once, attestations.TrustedSigner, body)

    async def list(
        self,
        caller: callers.Caller,
        namespace: names.NamespaceName,
        page: pages.PageRequest,
        *,
        revoked: bool,
    ) -> pages.Page[attestations.TrustedSigner]:
        """A page of a namespace's signers by name; raises `errors.NotFound` (namespace)."""
        policy.require(caller, policy.Action.READ_TRUST, namespace)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, namespace.namespace)
            return await rows.list_page(connection, namespace_id, page, revoked=revoked)

    async def revoke(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.TrustedSignerName,
        reason: str,
        distrusted_from: datetime.datetime | None,
    ) -> attestations.TrustedSigner:
        """Trust a signer no more, for good.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (SIGNER_REVOKED).
        """
        policy.require(caller, policy.Action.REVOKE_TRUST, name)
        body = functools.partial(_revoke, name, reason, distrusted_from)
        return await self._changes.apply(caller, once, attestations.TrustedSigner, body)


def _draft(
    name: names.TrustedSignerName, fields: attestations.TrustFields, actor: str
) -> attestations.TrustedSigner:
    try:
        proof = judging_signatures.trusted_of(fields.proof)
    except faults.Fault as fault:
        raise errors.invalid(str(fault), _field_of(fields.proof)) from None
    key = proof if isinstance(proof, keys.PublicKey) else None
    return attestations.TrustedSigner(
        name=name,
        fields=fields,
        key_id=key.key_id if key else "",
        algorithm=key.algorithm if key else "",
        actor=actor,
        created_at=datetime.datetime.now(datetime.UTC),
    )


def _field_of(proof: attestations.Proof) -> str:
    """Which field of a proof cannot be read."""
    if proof.public_key:
        return "trusted_signer.public_key"
    try:
        certificates.load_anchors(proof.roots)
    except faults.Fault:
        return "trusted_signer.roots"
    return "trusted_signer.log_key"


async def _create(
    signer: attestations.TrustedSigner, change: changes.Change
) -> attestations.TrustedSigner:
    parent = signer.name.parent
    await namespace_rows.lock(change.connection, parent)
    namespace_id = await namespace_rows.get_id(change.connection, parent.namespace)
    if await rows.count(change.connection, namespace_id) >= limits.TRUSTED_SIGNERS:
        raise errors.ResourceExhausted(
            f"{parent} trusts {limits.TRUSTED_SIGNERS} signers already; revoke one first"
        )
    await rows.insert(change.connection, namespace_id, signer)
    created = await rows.get(change.connection, signer.name)
    after: dict[str, events.Json] = {"kind": signer.fields.proof.kind.value, **_shown(created)}
    change.record(parent.namespace, events.Event("trust.created", signer.name, None, after))
    return created


def _shown(signer: attestations.TrustedSigner) -> dict[str, events.Json]:
    fields, proof = signer.fields, signer.fields.proof
    return {
        "key_id": signer.key_id,
        "identity": proof.identity,
        "issuer": proof.issuer,
        "not_before": codec.plain(fields.not_before),
        "not_after": codec.plain(fields.not_after),
    }


async def _revoke(
    name: names.TrustedSignerName,
    reason: str,
    distrusted_from: datetime.datetime | None,
    change: changes.Change,
) -> attestations.TrustedSigner:
    await namespace_rows.lock(change.connection, name.parent)
    await rows.get(change.connection, name)
    actor = change.caller.principal
    if not await rows.revoke(change.connection, name, actor, reason, distrusted_from):
        raise errors.FailedPrecondition(f"{name} is revoked already", reason="SIGNER_REVOKED")
    after = {"reason": reason, "distrusted_from": codec.plain(distrusted_from)}
    change.record(name.namespace, events.Event("trust.revoked", name, None, after))
    return await rows.get(change.connection, name)
