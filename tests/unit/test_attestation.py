"""Signatures in the OpenSSF format: made, verified, tampered with, malformed."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from support import signing as made

from modelkeep.attestation import bundles, faults, keys, signing, statements, trust

GOLDEN = Path(__file__).parent / "golden_signatures"
DIGESTS = {
    "config.json": hashlib.sha256(b"{}").hexdigest(),
    "weights/a.bin": hashlib.sha256(b"a").hexdigest(),
    "weights-2.bin": hashlib.sha256(b"b").hexdigest(),
}
KINDS = ["p256", "p384", "p521", "ed25519"]


def golden(name: str) -> bundles.Bundle:
    return bundles.read((GOLDEN / f"{name}.sig.json").read_bytes())


def signed(key: made.Private, digests: dict[str, str] | None = None) -> bytes:
    return signing.sign("acme/voice@1.0.0", digests or DIGESTS, made.loaded(key))


OWN = made.private_key()
OWN_KEY = keys.load_public(made.public_pem(OWN))
SIGNED = signed(OWN)


def require(text: bytes, key: Any) -> None:
    trust.require_signed_by(bundles.read(text), keys.load_public(made.public_pem(key)), made.NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_key_signed_its_public_half_verifies(kind: str) -> None:
    key = made.private_key(kind)
    text = signed(key)
    require(text, key)
    read = statements.read(bundles.read(text).payload)
    assert (read.name, dict(read.digests)) == ("acme/voice@1.0.0", DIGESTS)
    statements.require_same(read, DIGESTS, "it")


def test_files_are_listed_in_the_order_of_the_reference_which_sorts_part_by_part() -> None:
    listed = list(statements.read(statements.write("m", DIGESTS)).digests)
    assert listed == ["config.json", "weights/a.bin", "weights-2.bin"]  # "-" is before "/"


def test_signatures_of_the_reference_implementation_hold() -> None:
    key = keys.load_public((GOLDEN / "key.pem").read_text())
    for name in ("v1.1.0-elliptic-key", "v1.1.0-certificate"):
        bundle = golden(name)
        trust.require_signed_by(bundle, key, made.NOW)
        assert "signme-1" in statements.read(bundle.payload).digests


def test_the_format_from_before_it_was_settled_is_refused() -> None:
    with pytest.raises(faults.Fault, match="predicateType"):
        statements.read(golden("v0.2.0-certificate").payload)


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_is_told(kind: str) -> None:
    text = signed(made.private_key(kind))
    for other in KINDS:
        with pytest.raises(faults.Fault, match="names key"):
            require(text, made.private_key(other))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_key_of_another_kind_never_verifies_whatever_the_bundle_says(
    kind: str, other: str
) -> None:
    claimed = made.private_key(other)
    hint = keys.load_public(made.public_pem(claimed)).key_id

    def lie(read: dict[str, Any]) -> None:
        read["verificationMaterial"]["publicKey"] = {"hint": hint, "keyDetails": "PKIX_ED25519"}
        read["dsseEnvelope"]["signatures"][0]["keyid"] = hint

    text = made.rewritten(signed(made.private_key(kind)), lie)
    with pytest.raises(faults.Fault, match="was not signed by key"):
        require(text, claimed)


def test_a_changed_statement_does_not_hold() -> None:
    key = made.private_key()

    def change(read: dict[str, Any]) -> None:
        payload = statements.write("acme/voice@1.0.0", {**DIGESTS, "config.json": "0" * 64})
        read["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()

    with pytest.raises(faults.Fault, match="was changed"):
        require(made.rewritten(signed(key), change), key)


def test_the_encoding_that_reads_payloads_as_python_texts_is_not_taken() -> None:
    """Version 0.2 of the reference signed something else, and it still takes that."""
    key = made.private_key()
    payload = statements.write("m", DIGESTS)
    old = f"DSSEV1 {len(bundles.PAYLOAD_TYPE)} {bundles.PAYLOAD_TYPE} {len(payload)} {payload!r}"
    text = bundles.write(payload, made.loaded(key).sign(old.encode()), "")
    with pytest.raises(faults.Fault, match="was not signed"):
        require(text, key)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"x": "0" * 64}, r"'x' is signed and not in it"),
        ({"config.json": "0" * 64}, r"'config.json' is other than what was signed"),
        ({"config.json": None}, r"'config.json' is not signed"),
    ],
)
def test_a_signature_over_other_files_is_refused_by_their_names(
    change: dict[str, str | None], why: str
) -> None:
    listed = {path: digest for path, digest in (DIGESTS | change).items() if digest}
    statement = statements.read(statements.write("m", listed))
    with pytest.raises(faults.Fault, match=why):
        statements.require_same(statement, DIGESTS, "it")


def test_a_long_list_of_differences_is_cut() -> None:
    many = {f"f{number}": "0" * 64 for number in range(1000)}
    with pytest.raises(faults.Fault, match="and 997 more are signed") as told:
        statements.require_same(
            statements.read(statements.write("m", DIGESTS | many)), DIGESTS, "it"
        )
    assert len(str(told.value)) < 200


def statement_with(**changes: Any) -> bytes:
    read = json.loads(statements.write("m", DIGESTS))
    for path, value in changes.items():
        owner = read
        *way, last = path.split("__")
        for step in way:
            owner = owner[int(step) if step.isdigit() else step]
        owner[int(last) if last.isdigit() else last] = value
    return json.dumps(read).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://slsa.dev/provenance/v1"},
        {"predicate__serialization__method": "shards"},
        {"predicate__serialization__hash_type": "blake3"},
        {"predicate__resources__0__algorithm": "sha512"},
        {"predicate__resources__0__digest": "AB" * 32},
        {"predicate__resources__0__digest": None},
        {"predicate__resources__0__name": "weights-2.bin"},
        {"predicate__resources__0__name": "\ud800"},
        {"predicate__resources": []},
        {"predicate__resources": {}},
        {"subject": []},
        {"subject__0__digest": {"sha256": "0" * 64}},
        {"subject__0__digest": {"sha512": "0" * 128}},
        {"predicate": None},
    ],
)
def test_a_statement_that_is_not_as_it_must_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(faults.Fault):
        statements.read(statement_with(**changes))


def bundle_with(change: Any) -> bytes:
    return made.rewritten(signed(made.private_key()), change)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.update(mediaType="application/json"),
        lambda b: b.pop("dsseEnvelope"),
        lambda b: b.pop("verificationMaterial"),
        lambda b: b["dsseEnvelope"].update(payloadType="text/plain"),
        lambda b: b["dsseEnvelope"].update(payload="a"),
        lambda b: b["dsseEnvelope"].update(payload="YQ==\n"),
        lambda b: b["dsseEnvelope"].update(payload=17),
        lambda b: b["dsseEnvelope"].update(signatures=[]),
        lambda b: b["dsseEnvelope"]["signatures"].append({"sig": "YQ=="}),
        lambda b: b["dsseEnvelope"].update(signatures=[{"sig": "not base64"}]),
        lambda b: b["verificationMaterial"].update(certificate={"rawBytes": "?"}),
        lambda b: b["verificationMaterial"].update(x509CertificateChain={"certificates": []}),
        lambda b: b["verificationMaterial"].update(tlogEntries=[{"logIndex": "-1"}]),
        lambda b: b["verificationMaterial"].update(tlogEntries=[{}] * 9),
        lambda b: b["verificationMaterial"].update(tlogEntries=[{"integratedTime": "9" * 40}]),
    ],
)
def test_a_bundle_that_is_not_as_it_must_be_is_refused(change: Any) -> None:
    with pytest.raises(faults.Fault):
        bundles.read(bundle_with(change))


def test_a_key_that_is_there_twice_is_refused() -> None:
    text = signed(made.private_key()).replace(
        b'"payloadType":', b'"payload":"YQ==","payloadType":', 1
    )
    with pytest.raises(faults.Fault, match="twice"):
        bundles.read(text)


def test_only_utf_8_is_read() -> None:
    text = signed(made.private_key())
    with pytest.raises(faults.Fault, match="not JSON"):
        bundles.read(text.decode().encode("utf-16"))


def test_a_huge_bundle_is_refused_before_it_is_read() -> None:
    with pytest.raises(faults.Fault, match="2,097,152"):
        bundles.read(b" " * (bundles.MAX_BYTES + 1))


def test_ten_thousand_files_with_ordinary_paths_fit_and_endless_paths_do_not() -> None:
    key = made.private_key()
    ordinary = {f"weights/layer-{number:05}.safetensors": "0" * 64 for number in range(10_000)}
    require(signed(key, ordinary), key)
    endless = {f"{'x' * 200}/{number:05}": "0" * 64 for number in range(10_000)}
    with pytest.raises(faults.Fault, match="are allowed"):
        signed(key, endless)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff", deep(100_000), b'{"a": NaN}'])
def test_what_is_no_bundle_is_refused(text: bytes) -> None:
    with pytest.raises(faults.Fault):
        bundles.read(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@hypothesis.given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["mediaType", "verificationMaterial", "dsseEnvelope", "publicKey", "certificate",
                 "x509CertificateChain", "tlogEntries", "payload", "signatures"]
            ),
            JSON,
        ),
        min_size=1,
        max_size=3,
    )
)  # fmt: skip
def test_whatever_stands_in_a_bundle_it_is_read_or_refused(
    changes: list[tuple[str, Any]],
) -> None:
    def change(read: dict[str, Any]) -> None:
        for key, value in changes:
            for owner in (read, read["verificationMaterial"], read["dsseEnvelope"]):
                if key in owner or (owner is not read and key[0] in "cxt"):
                    owner[key] = value
                    return

    try:
        bundle = bundles.read(made.rewritten(SIGNED, change))
        if bundle.certificates:
            trust.require_own_key(bundle)
    except faults.Fault:
        return


@hypothesis.given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_or_changes_nothing(at: int, by: int) -> None:
    """What is not signed may change without harm: the key's id, for example."""
    text = bytearray(SIGNED)
    text[at] ^= by
    try:
        bundle = bundles.read(bytes(text))
    except faults.Fault:
        return
    genuine = bundles.read(SIGNED)
    assert bundle.payload == genuine.payload or not OWN_KEY.holds(bundle.signature, bundle.message)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "x" * 9000,
        made.public_pem(made.private_key("secp256k1")),
        made.pem(made.private_key()).decode(),
    ],
)
def test_what_is_no_public_key_of_ours_is_refused(pem: str) -> None:
    with pytest.raises(faults.Fault):
        keys.load_public(pem)


def test_an_rsa_key_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(65537, 2048)
    with pytest.raises(faults.Fault, match="Ed25519"):
        keys.load_public(made.public_pem(key))
    with pytest.raises(faults.Fault, match="Ed25519"):
        keys.load_private(made.pem(key), None)


def test_an_encrypted_key_needs_its_password() -> None:
    locked = made.pem(made.private_key("ed25519"), b"secret")
    keys.load_private(locked, b"secret")
    for password, why in ((None, "give its password"), (b"wrong", "password is wrong")):
        with pytest.raises(faults.Fault, match=why):
            keys.load_private(locked, password)
    with pytest.raises(faults.Fault, match="leave the password out"):
        keys.load_private(made.pem(made.private_key()), b"secret")


def test_a_private_key_does_not_show_itself() -> None:
    assert "BEGIN" not in repr(made.loaded(made.private_key()))
