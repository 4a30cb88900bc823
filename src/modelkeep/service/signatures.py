"""Use cases of signatures: attach them to versions, read them, and tell what they are worth."""

import asyncio
import functools
import secrets
from dataclasses import dataclass

from modelkeep.attestation import bundles, certificates, faults, keys, statements, trust
from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import attestations, errors, events, limits, names, pages, provenance
from modelkeep.service import changes, judging_signatures, version_files
from modelkeep.storage import database
from modelkeep.storage import signatures as rows
from modelkeep.storage import trusted_signers as signer_rows
from modelkeep.storage import versions as version_rows

_KEY_BYTES = 8
_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Examined:
    """A bundle that is well-formed, and what it says."""

    text: bytes
    bundle: bundles.Bundle
    statement: statements.Statement
    named: certificates.Named | None


class Signatures:
    """Attaches and reads signatures; none ever changes."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def attach(
        self, caller: callers.Caller, once: changes.Once, version: names.VersionName, bundle: bytes
    ) -> attestations.Judgement:
        """Keep a signature over a sealed version, and tell what it is worth now.

        Raises `errors.InvalidArgument` (bundle), `errors.NotFound`, `errors.AlreadyExists`,
        `errors.FailedPrecondition` (VERSION_NOT_SEALED, SIGNATURE_MISMATCH),
        `errors.ResourceExhausted`.
        """
        policy.require(caller, policy.Action.ATTACH_SIGNATURE, version)
        examined = await asyncio.to_thread(_examine, bundle)
        body = functools.partial(_attach, version, examined)
        return await self._changes.apply(caller, once, attestations.Judgement, body)

    async def get(
        self, caller: callers.Caller, name: names.SignatureName
    ) -> tuple[attestations.Judgement, bytes]:
        """Read a signature, judged, and its bundle; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_SIGNATURE, name)
        async with self._db.connection() as connection:
            version = await version_rows.get(connection, name.version)
            stored = await rows.get(connection, version, name.signature)
            signers = await signer_rows.list_all(connection, version.namespace_id)
        (judgement,) = await judging_signatures.judge([stored], signers)
        return judgement, stored.bundle

    async def list(
        self, caller: callers.Caller, version: names.VersionName, page: pages.PageRequest
    ) -> pages.Page[attestations.Judgement]:
        """A page of a version's signatures, judged; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_SIGNATURE, version)
        async with self._db.connection() as connection:
            stored = await version_rows.get(connection, version)
            found = await rows.list_page(connection, stored, page)
            signers = await signer_rows.list_all(connection, stored.namespace_id)
        judged = await judging_signatures.judge([entry for _, entry in found.entries], signers)
        keyed = [(key, one) for (key, _), one in zip(found.entries, judged, strict=True)]
        return pages.Page(keyed, found.more)

    async def judge(
        self, caller: callers.Caller, version: names.VersionName
    ) -> attestations.Verdict:
        """What a version's signatures come to now; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_SIGNATURE, version)
        async with self._db.connection() as connection:
            return await verdict(connection, await version_rows.get(connection, version))


async def verdict(
    connection: database.Connection, stored: version_rows.Stored
) -> attestations.Verdict:
    """Whether somebody whom its namespace trusts now has signed a version.

    It reads what the connection's transaction sees: ask inside the transaction that decides by it.
    """
    signatures = await rows.list_all(connection, stored)
    signers = await signer_rows.list_all(connection, stored.namespace_id)
    judged = await judging_signatures.judge(signatures, signers)
    return attestations.Verdict(stored.version.name, judged)


def _examine(text: bytes) -> Examined:
    """What can be checked of a bundle by itself; raises `errors.InvalidArgument`."""
    try:
        bundle = bundles.read(text)
        named = trust.require_own_key(bundle) if bundle.certificates else None
        return Examined(text, bundle, statements.read(bundle.payload), named)
    except faults.Fault as fault:
        raise errors.invalid(str(fault), "bundle") from None


async def _attach(
    version: names.VersionName, examined: Examined, change: changes.Change
) -> attestations.Judgement:
    # Locked, so that two at once count each other.
    stored = await version_rows.lock(change.connection, version)
    provenance.require_sealed(stored.version)
    await _require_room(change.connection, stored)
    await _require_about(change.connection, stored, examined.statement)
    signers = await signer_rows.list_all(change.connection, stored.namespace_id)
    _require_named_key(examined.bundle, signers)
    draft = _draft(examined, change.caller.principal)
    signature = await rows.insert(change.connection, stored, draft)
    kept = rows.Stored(signature, draft.bundle)
    (judgement,) = await judging_signatures.judge([kept], signers)
    change.record(version.namespace, _event(judgement))
    return judgement


async def _require_room(connection: database.Connection, stored: version_rows.Stored) -> None:
    if await rows.count(connection, stored.version_id) >= limits.SIGNATURES:
        raise errors.ResourceExhausted(
            f"{stored.version.name} has {limits.SIGNATURES} signatures already, which is the most"
        )


async def _require_about(
    connection: database.Connection, stored: version_rows.Stored, signed: statements.Statement
) -> None:
    files = await version_files.list_all(connection, stored.version_id)
    digests = {file.path: file.digest.removeprefix(_PREFIX) for file in files}
    try:
        statements.require_same(signed, digests, str(stored.version.name))
    except faults.Fault as fault:
        raise errors.FailedPrecondition(
            f"{fault}; sign the version as it is, with `modelkeep sign`",
            reason="SIGNATURE_MISMATCH",
        ) from None


def _require_named_key(bundle: bundles.Bundle, signers: list[attestations.TrustedSigner]) -> None:
    """Refuse what says that a trusted key signed it, which did not."""
    for signer in signers:
        if bundle.key_hint and signer.key_id == bundle.key_hint:
            key = keys.load_public(signer.fields.proof.public_key)
            if not key.holds(bundle.signature, bundle.message):
                who = signer.name.signer
                raise errors.invalid(f"names the key of {who}, which did not sign it", "bundle")


def _draft(examined: Examined, actor: str) -> rows.Draft:
    named = examined.named
    kinds = attestations.SignerKind
    return rows.Draft(
        key=secrets.token_hex(_KEY_BYTES),
        bundle=examined.text,
        kind=kinds.IDENTITY if named else kinds.KEY,
        key_hint=examined.bundle.key_hint or (named.key.key_id if named else ""),
        identities=named.identities if named else (),
        issuer=named.issuer if named else "",
        actor=actor,
    )


def _event(judgement: attestations.Judgement) -> events.Event:
    signature = judgement.signature
    after: dict[str, events.Json] = {
        "digest": signature.digest,
        "kind": signature.kind.value,
        "key_hint": signature.key_hint,
        "identities": list(signature.identities),
        "issuer": signature.issuer,
        "trusted_signer": str(judgement.signer) if judgement.signer else "",
    }
    return events.Event("signature.attached", signature.name, None, after)
