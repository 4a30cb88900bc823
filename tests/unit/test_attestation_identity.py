"""Signers that a certificate names: chains, identities, issuers, times and logs."""

import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from support import signing as made

from modelkeep.attestation import bundles, certificates, faults, keys, trust

GOLDEN = Path(__file__).parent / "golden_signatures"
DIGESTS = {"a": "0" * 64}
LATER = made.NOW + made.YEAR
AUTHORITY = made.Authority.new()
LOG = made.private_key()


def trusted(
    who: str = made.WHO,
    issuer: str = made.ISSUER,
    anchors: str = AUTHORITY.anchors,
    log: object = None,
) -> trust.TrustedIdentity:
    log_key = keys.load_public(made.public_pem(log)) if log else None
    return trust.TrustedIdentity(who, issuer, certificates.load_anchors(anchors), log_key)


def signed(issuer: str = made.ISSUER, authority: made.Authority = AUTHORITY) -> bytes:
    key = made.private_key()
    return made.certified(DIGESTS, key, authority.issue(key, issuer=issuer))


def at(
    text: bytes, whom: trust.TrustedIdentity, when: datetime.datetime = made.NOW
) -> datetime.datetime:
    return trust.require_signed_by(bundles.read(text), whom, when)


def test_signatures_of_the_public_instance_hold_by_its_authority_and_log() -> None:
    whom = trusted(
        "stefanb@us.ibm.com",
        "https://sigstore.verify.ibm.com/oauth2",
        (GOLDEN / "fulcio.pem").read_text(),
    )
    log_key = keys.load_public((GOLDEN / "rekor.pem").read_text())
    for name in ("v1.0.0-sigstore", "v1.1.0-sigstore"):
        text = (GOLDEN / f"{name}.sig.json").read_bytes()
        with_log = trust.TrustedIdentity(whom.identity, whom.issuer, whom.anchors, log_key)
        assert at(text, with_log, LATER).year == 2025
        with pytest.raises(faults.Fault, match="nothing shows that the signature was there"):
            at(text, whom, LATER)


def test_an_identity_holds_while_its_certificate_is_valid() -> None:
    text = signed()
    assert at(text, trusted()) == made.NOW
    for when in (made.NOW - made.MINUTE, made.NOW + 11 * made.MINUTE):
        with pytest.raises(faults.Fault, match="nothing shows"):
            at(text, trusted(), when)


@pytest.mark.parametrize(
    ("whom", "why"),
    [
        (trusted(who="mallory@example.com"), "is for 'release@example.com'"),
        (trusted(who="release@example.com.evil.org"), "is for"),
        (trusted(issuer="https://evil.example.org"), "vouched"),
        (trusted(issuer=""), "vouched"),
        (trusted(anchors=made.Authority.new().anchors), "vouches for the certificate"),
    ],
)
def test_another_identity_issuer_or_authority_is_told(
    whom: trust.TrustedIdentity, why: str
) -> None:
    with pytest.raises(faults.Fault, match=why):
        at(signed(), whom)


def test_without_an_issuer_only_certificates_that_name_none_are_taken() -> None:
    assert at(signed(issuer=""), trusted(issuer="")) == made.NOW
    with pytest.raises(faults.Fault, match="nobody vouched"):
        at(signed(issuer=""), trusted())


def test_a_long_issuer_is_read() -> None:
    issuer = f"https://{'x' * 100}.example.com"
    assert at(signed(issuer=issuer), trusted(issuer=issuer)) == made.NOW


def test_a_bare_key_is_no_identity() -> None:
    key = made.private_key()
    text = made.rewritten(
        made.certified(DIGESTS, key, AUTHORITY.issue(key)),
        lambda read: read.update(verificationMaterial={"publicKey": {"hint": ""}}),
    )
    with pytest.raises(faults.Fault, match="bare key"):
        at(text, trusted())


def test_a_certificate_of_another_key_is_refused() -> None:
    text = made.certified(DIGESTS, made.private_key(), AUTHORITY.issue(made.private_key()))
    with pytest.raises(faults.Fault, match="did not sign"):
        at(text, trusted())


def test_a_certificate_for_something_else_is_refused() -> None:
    key = made.private_key()
    leaf = AUTHORITY.issue(key, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(faults.Fault, match="not for signing"):
        at(made.certified(DIGESTS, key, leaf), trusted())


def test_who_was_certified_cannot_certify_others() -> None:
    between = made.Authority.new(authority=False)
    key = made.private_key()
    text = made.certified(DIGESTS, key, between.issue(key))
    with pytest.raises(faults.Fault, match="vouches for the certificate"):
        at(text, trusted(anchors=between.anchors))


def test_an_authority_that_the_bundle_brings_leads_nowhere_without_its_root() -> None:
    evil, key = made.Authority.new(), made.private_key()
    text = made.certified(DIGESTS, key, evil.issue(key), evil.certificate, evil.root)
    with pytest.raises(faults.Fault, match="vouches for the certificate"):
        at(text, trusted())


def test_an_intermediate_that_the_bundle_brings_may_lead_to_a_root() -> None:
    key = made.private_key()
    text = made.certified(DIGESTS, key, AUTHORITY.issue(key), AUTHORITY.certificate)
    root = AUTHORITY.root.public_bytes(Encoding.PEM).decode()
    assert at(text, trusted(anchors=root)) == made.NOW


def test_a_log_shows_that_a_certificate_was_valid() -> None:
    text = made.logged(signed(), LOG, made.NOW + made.MINUTE)
    assert at(text, trusted(log=LOG), LATER) == made.NOW + made.MINUTE
    with pytest.raises(faults.Fault, match="nothing shows"):  # the log is not trusted
        at(text, trusted(), LATER)
    with pytest.raises(faults.Fault, match="nothing shows"):  # another one is
        at(text, trusted(log=made.private_key()), LATER)


def test_a_log_that_took_it_in_too_late_shows_nothing() -> None:
    text = made.logged(signed(), LOG, made.NOW + 11 * made.MINUTE)
    with pytest.raises(faults.Fault, match="nothing shows"):
        at(text, trusted(log=LOG), LATER)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"payload": "0" * 64}, "about another signature"),
        ({"signature": "AAAA"}, "about another signature"),
        ({"time": "1790000000"}, "promise"),
    ],
)
def test_a_promise_about_something_else_is_refused(wrong: dict[str, str], why: str) -> None:
    text = made.logged(signed(), LOG, made.NOW + made.MINUTE, **wrong)
    with pytest.raises(faults.Fault, match=why):
        at(text, trusted(log=LOG), LATER)


@pytest.mark.parametrize(
    "anchors",
    ["", "x", AUTHORITY.certificate.public_bytes(Encoding.PEM).decode(), AUTHORITY.anchors * 9],
)
def test_what_are_no_authorities_is_refused(anchors: str) -> None:
    with pytest.raises(faults.Fault):
        certificates.load_anchors(anchors)


def test_a_certificate_that_is_none_is_refused() -> None:
    text = made.rewritten(
        signed(),
        lambda read: read.update(verificationMaterial={"certificate": {"rawBytes": "AAAA"}}),
    )
    with pytest.raises(faults.Fault, match="malformed"):
        at(text, trusted())


def test_a_path_longer_than_an_authority_allows_is_refused() -> None:
    for length, holds in ((0, False), (1, True)):
        authority, key = made.Authority.new(path_length=length), made.private_key()
        text = made.certified(DIGESTS, key, authority.issue(key))
        whom = trusted(anchors=authority.anchors)
        if holds:
            assert at(text, whom) == made.NOW
            continue
        with pytest.raises(faults.Fault, match="vouches for the certificate"):
            at(text, whom)
