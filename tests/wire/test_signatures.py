"""Signatures on a real server: attached, judged by what is trusted, refused by field."""

import asyncio
import datetime
import hashlib
from typing import Any

import asyncpg
import grpc
import pytest
from support import signing as made
from support import wire

from modelkeep.attestation import signing
from modelkeep.domain import attestations, names, sight
from modelkeep.service import signatures as service
from modelkeep.storage import database
from modelkeep.storage import versions as version_rows
from modelkeep.v1 import audit_service_pb2 as audit_pb
from modelkeep.v1 import provenance_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

TRUSTED = pb.SIGNATURE_OUTCOME_TRUSTED
UNTRUSTED = pb.SIGNATURE_OUTCOME_UNTRUSTED
UNSIGNED = pb.SIGNATURE_OUTCOME_UNSIGNED
DAY = datetime.timedelta(days=1)


async def sealed(stubs: wire.Stubs, model: str = "") -> str:
    return (await stubs.ready(model or await stubs.new_model())).name


async def digests(stubs: wire.Stubs, version: str) -> dict[str, str]:
    answer = await stubs.registry.ListFiles(registry_pb.ListFilesRequest(parent=version))
    return {file.path: file.digest.removeprefix("sha256:") for file in answer.files}


async def bundle_of(stubs: wire.Stubs, version: str, key: Any) -> bytes:
    return signing.sign("m", await digests(stubs, version), made.loaded(key))


def attach(stubs: wire.Stubs, version: str, bundle: bytes, **fields: Any) -> Any:
    return stubs.provenance.AttachSignature(
        pb.AttachSignatureRequest(parent=version, bundle=bundle, **fields)
    )


async def attached(stubs: wire.Stubs, version: str, bundle: bytes, **fields: Any) -> pb.Signature:
    return (await attach(stubs, version, bundle, **fields)).signature


def trust(stubs: wire.Stubs, version: str, signer: str = "release", **fields: Any) -> Any:
    said = pb.TrustedSigner()
    for field, value in fields.items():
        if isinstance(value, datetime.datetime):
            getattr(said, field).FromDatetime(value)
        else:
            setattr(said, field, value)
    return stubs.provenance.CreateTrustedSigner(
        pb.CreateTrustedSignerRequest(
            parent=namespace(version), trusted_signer_id=signer, trusted_signer=said
        )
    )


def revoke(
    stubs: wire.Stubs, version: str, signer: str = "release", since: Any = None, **fields: Any
) -> Any:
    name = f"{namespace(version)}/trustedSigners/{signer}"
    request = pb.RevokeTrustedSignerRequest(name=name, **({"reason": "lost"} | fields))
    if since:
        request.distrust_time.FromDatetime(since)
    return stubs.provenance.RevokeTrustedSigner(request)


def namespace(version: str) -> str:
    return version.partition("/models/")[0]


async def verdict(stubs: wire.Stubs, version: str) -> pb.GetSignatureVerdictResponse:
    return await stubs.provenance.GetSignatureVerdict(pb.GetSignatureVerdictRequest(name=version))


async def test_a_version_is_unsigned_then_signed_then_trusted(stubs: wire.Stubs) -> None:
    version, key = await sealed(stubs), made.private_key()
    assert (await verdict(stubs, version)).outcome == UNSIGNED
    bundle = await bundle_of(stubs, version, key)
    signature = await attached(stubs, version, bundle)
    assert signature.name.startswith(f"{version}/signatures/")
    assert signature.digest == f"sha256:{hashlib.sha256(bundle).hexdigest()}"
    assert (signature.actor, signature.size_bytes) == ("anonymous", len(bundle))
    assert not signature.judgement.trusted
    assert f"key {signature.key_hint[:16]} is not trusted" in signature.judgement.reason
    told = await verdict(stubs, version)
    assert (told.outcome, told.evidence) == (UNTRUSTED, "")

    created = await trust(stubs, version, public_key=made.public_pem(key))
    signer = created.trusted_signer
    assert (signer.key_id, signer.algorithm) == (signature.key_hint, "ecdsa-p256-sha256")
    told = await verdict(stubs, version)
    assert (told.outcome, told.evidence) == (TRUSTED, signature.name)
    assert told.sentence == f"{version} is signed by release."
    (listed,) = told.signatures
    assert listed.judgement.trusted_signer == signer.name
    got = await stubs.provenance.GetSignature(pb.GetSignatureRequest(name=signature.name))
    assert (got.bundle, got.signature) == (bundle, listed)
    page = await stubs.provenance.ListSignatures(pb.ListSignaturesRequest(parent=version))
    assert list(page.signatures) == [listed]


async def test_trust_is_of_one_namespace(stubs: wire.Stubs) -> None:
    one, other, key = await sealed(stubs), await sealed(stubs), made.private_key()
    await trust(stubs, other, public_key=made.public_pem(key))
    await attach(stubs, one, await bundle_of(stubs, one, key))
    assert (await verdict(stubs, one)).outcome == UNTRUSTED


async def test_a_window_counts_by_when_the_signature_was_there(stubs: wire.Stubs) -> None:
    version, key = await sealed(stubs), made.private_key()
    now = datetime.datetime.now(datetime.UTC)
    await attach(stubs, version, await bundle_of(stubs, version, key))
    pem = made.public_pem(key)
    await trust(stubs, version, "late", public_key=pem, not_before_time=now + DAY)
    assert "late is trusted from" in (await verdict(stubs, version)).sentence
    await trust(stubs, version, "past", public_key=pem, not_after_time=now - DAY)
    assert "the trust in past ended" in (await verdict(stubs, version)).sentence
    window = {"not_before_time": now - DAY, "not_after_time": now + DAY}
    await trust(stubs, version, "now", public_key=pem, **window)
    assert (await verdict(stubs, version)).outcome == TRUSTED


async def test_a_revoked_signer_counts_no_more(stubs: wire.Stubs) -> None:
    version, key = await sealed(stubs), made.private_key()
    await attach(stubs, version, await bundle_of(stubs, version, key))
    await trust(stubs, version, public_key=made.public_pem(key))
    revoked = (await revoke(stubs, version, reason="stolen")).trusted_signer
    assert (revoked.revoke_reason, revoked.revoke_actor) == ("stolen", "anonymous")
    told = await verdict(stubs, version)
    assert (told.outcome, told.evidence) == (UNTRUSTED, "")
    assert "release was revoked: stolen" in told.sentence
    again = await wire.failing(revoke(stubs, version))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SIGNER_REVOKED")
    taken = await wire.failing(trust(stubs, version, public_key=made.public_pem(key)))
    assert taken.code is grpc.StatusCode.ALREADY_EXISTS
    request = pb.ListTrustedSignersRequest(parent=namespace(version))
    assert not (await stubs.provenance.ListTrustedSigners(request)).trusted_signers
    request.show_revoked = True
    (listed,) = (await stubs.provenance.ListTrustedSigners(request)).trusted_signers
    assert listed == revoked


async def test_what_was_there_before_a_key_was_stolen_still_counts(stubs: wire.Stubs) -> None:
    version, key = await sealed(stubs), made.private_key()
    await attach(stubs, version, await bundle_of(stubs, version, key))
    await trust(stubs, version, public_key=made.public_pem(key))
    await revoke(stubs, version, since=datetime.datetime.now(datetime.UTC) + DAY)
    assert (await verdict(stubs, version)).outcome == TRUSTED


async def test_a_signature_of_another_version_is_refused(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    one = await sealed(stubs, model)
    draft = await stubs.registry.CreateVersion(
        registry_pb.CreateVersionRequest(
            parent=model, version_id="2.0.0", version=wire.prompt_version("other")
        )
    )
    other = draft.version.name
    bundle = await bundle_of(stubs, one, made.private_key())
    failed = await wire.failing(attach(stubs, other, bundle))
    assert (failed.code, failed.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "VERSION_NOT_SEALED",
    )
    await stubs.registry.FinalizeVersion(registry_pb.FinalizeVersionRequest(name=other))
    failed = await wire.failing(attach(stubs, other, bundle))
    assert (failed.code, failed.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SIGNATURE_MISMATCH",
    )
    assert "'prompt.json' is other than what was signed" in failed.message


async def test_a_signature_that_names_a_trusted_key_must_be_its(stubs: wire.Stubs) -> None:
    version, key = await sealed(stubs), made.private_key()
    signer = (await trust(stubs, version, public_key=made.public_pem(key))).trusted_signer
    forged = made.rewritten(
        await bundle_of(stubs, version, made.private_key()),
        lambda read: read["verificationMaterial"].update(publicKey={"hint": signer.key_id}),
    )
    failed = await wire.failing(attach(stubs, version, forged))
    assert (failed.code, failed.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["bundle"])
    assert "names the key of release" in failed.message


@pytest.mark.parametrize(
    "bundle", [b"", b"{", b"\xff" * 100, b"x" * (2 * 1024 * 1024 + 1), b"[" * 100_000]
)
async def test_a_malformed_bundle_is_refused_by_field(stubs: wire.Stubs, bundle: bytes) -> None:
    failed = await wire.failing(attach(stubs, await sealed(stubs), bundle))
    assert (failed.code, failed.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["bundle"])


async def test_the_same_signature_twice_is_refused_and_a_retry_is_not(stubs: wire.Stubs) -> None:
    version = await sealed(stubs)
    bundle = await bundle_of(stubs, version, made.private_key())
    first = await attached(stubs, version, bundle, request_id="r-1")
    assert await attached(stubs, version, bundle, request_id="r-1") == first
    failed = await wire.failing(attach(stubs, version, bundle))
    assert (failed.code, failed.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SIGNATURE_EXISTS")


async def test_of_two_at_once_that_are_equal_one_is_kept(stubs: wire.Stubs) -> None:
    version = await sealed(stubs)
    bundle = await bundle_of(stubs, version, made.private_key())
    calls = (attach(stubs, version, bundle) for _ in range(6))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert {one.code() for one in refused} == {grpc.StatusCode.ALREADY_EXISTS}
    assert len(refused) == 5
    assert len((await verdict(stubs, version)).signatures) == 1


async def test_no_more_than_32_are_kept_whoever_comes_at_once(stubs: wire.Stubs) -> None:
    version = await sealed(stubs)
    bundles = [await bundle_of(stubs, version, made.private_key("ed25519")) for _ in range(35)]
    calls = (attach(stubs, version, bundle) for bundle in bundles)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert {one.code() for one in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(refused) == 3
    request = pb.ListSignaturesRequest(parent=version, page_size=20)
    first = await stubs.provenance.ListSignatures(request)
    request.page_token = first.next_page_token
    second = await stubs.provenance.ListSignatures(request)
    named = [one.name for one in (*first.signatures, *second.signatures)]
    assert (len(set(named)), second.next_page_token) == (32, "")


async def test_an_identity_counts_if_its_certificate_was_valid_when_it_was_attached(
    stubs: wire.Stubs,
) -> None:
    version, key, authority = await sealed(stubs), made.private_key(), made.Authority.new()
    now = datetime.datetime.now(datetime.UTC)
    files = await digests(stubs, version)
    fields = {"identity": made.WHO, "issuer": made.ISSUER, "roots": authority.anchors}
    await trust(stubs, version, "ci", **fields)
    old = made.certified(files, key, authority.issue(key, begins=now - DAY))
    stale = await attached(stubs, version, old)
    assert "nothing shows that the signature was there by then" in stale.judgement.reason
    fresh = authority.issue(key, begins=now - made.MINUTE)
    signature = await attached(stubs, version, made.certified(files, key, fresh))
    assert signature.judgement.trusted
    assert (list(signature.identities), signature.issuer) == ([made.WHO], made.ISSUER)
    assert signature.kind == pb.SIGNER_KIND_IDENTITY


async def test_a_log_that_is_trusted_shows_when_an_identity_signed(stubs: wire.Stubs) -> None:
    version, key, authority = await sealed(stubs), made.private_key(), made.Authority.new()
    log, files = made.private_key(), await digests(stubs, version)
    text = made.certified(files, key, authority.issue(key))
    signature = await attached(stubs, version, made.logged(text, log, made.NOW + made.MINUTE))
    fields = {"identity": made.WHO, "issuer": made.ISSUER, "roots": authority.anchors}
    await trust(stubs, version, "ci", log_key=made.public_pem(log), **fields)
    (judged,) = (await verdict(stubs, version)).signatures
    assert judged.name == signature.name
    assert judged.judgement.trusted
    at = judged.judgement.sign_time.ToDatetime(datetime.UTC)
    assert at == made.NOW + made.MINUTE


async def test_a_certificate_whose_key_did_not_sign_is_refused(stubs: wire.Stubs) -> None:
    version, authority = await sealed(stubs), made.Authority.new()
    leaf = authority.issue(made.private_key())
    text = made.certified(await digests(stubs, version), made.private_key(), leaf)
    failed = await wire.failing(attach(stubs, version, text))
    assert (failed.code, failed.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["bundle"])


KEY = made.public_pem(made.private_key())
ROOTS = made.Authority.new().anchors


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "public_key"),
        ({"public_key": "x"}, "public_key"),
        ({"public_key": KEY, "identity": "a@b.c", "roots": ROOTS}, "public_key"),
        ({"public_key": KEY, "issuer": "https://a"}, "issuer"),
        ({"public_key": KEY, "roots": ROOTS}, "roots"),
        ({"identity": "a@b.c"}, "roots"),
        ({"identity": "a@b.c", "roots": "x"}, "roots"),
        ({"identity": "a@b.c", "roots": ROOTS, "log_key": "x"}, "log_key"),
        ({"identity": "a\n", "roots": ROOTS}, "identity"),
        ({"public_key": KEY, "description": "\x00"}, "description"),
        ({"public_key": KEY, "not_before_time": made.NOW, "not_after_time": made.NOW},
         "not_after_time"),
    ],
)  # fmt: skip
async def test_a_signer_that_cannot_be_is_refused_by_field(
    stubs: wire.Stubs, fields: dict[str, Any], field: str
) -> None:
    failed = await wire.failing(trust(stubs, await sealed(stubs), **fields))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"trusted_signer.{field}" in failed.fields


async def test_who_trusts_and_revokes_stands_in_the_audit_log(stubs: wire.Stubs) -> None:
    version, key = await sealed(stubs), made.private_key()
    await trust(stubs, version, public_key=made.public_pem(key))
    signature = await attached(stubs, version, await bundle_of(stubs, version, key))
    await revoke(stubs, version)
    request = audit_pb.ListAuditEventsRequest(
        parent=namespace(version), actions=["signature.*", "trust.*"], oldest_first=True
    )
    events = (await stubs.audit.ListAuditEvents(request)).events
    signer = f"{namespace(version)}/trustedSigners/release"
    assert [(one.action, one.resource) for one in events] == [
        ("trust.created", signer),
        ("signature.attached", signature.name),
        ("trust.revoked", signer),
    ]
    assert dict(events[1].after)["trusted_signer"] == signer


async def test_the_database_itself_keeps_signatures_and_trust_as_they_are(
    stubs: wire.Stubs, database_url: str
) -> None:
    version, key = await sealed(stubs), made.private_key()
    await trust(stubs, version, public_key=made.public_pem(key))
    await attach(stubs, version, await bundle_of(stubs, version, key))
    await revoke(stubs, version)
    connection = await asyncpg.connect(database_url)
    try:
        for statement in (
            "UPDATE signature SET actor = 'x'",
            "DELETE FROM signature",
            "UPDATE trusted_signer SET public_key = 'x'",
            "UPDATE trusted_signer SET revoked_at = NULL, revoked_by = '', revoke_reason = ''",
            "DELETE FROM trusted_signer",
        ):
            with pytest.raises(asyncpg.RaiseError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_gate_can_ask_inside_its_own_transaction(
    stubs: wire.Stubs, database_url: str
) -> None:
    """What the transaction has not committed yet counts there, and nowhere else."""
    version, key = await sealed(stubs), made.private_key()
    signer = (await trust(stubs, version, public_key=made.public_pem(key))).trusted_signer
    await attach(stubs, version, await bundle_of(stubs, version, key))
    name = names.VersionName.parse(version)
    db = await database.Database.open(database_url, 1)
    sight.admit(name.namespace)
    try:
        async with db.transaction() as connection:
            stored = await version_rows.get(connection, name)
            found = await service.verdict(connection, stored)
            assert (found.is_trusted, found.outcome) == (True, attestations.Outcome.TRUSTED)
            await connection.execute(
                "UPDATE trusted_signer SET revoked_at = now(), revoked_by = 'x', "
                "revoke_reason = 'lost' WHERE name = $1",
                signer.name.rpartition("/")[2],
            )
            found = await service.verdict(connection, stored)
            assert (found.is_trusted, found.evidence) == (False, "")
            assert (await verdict(stubs, version)).outcome == TRUSTED
    finally:
        await db.close()
