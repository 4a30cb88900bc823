"""What the operator writes about issuers and certificates: read exactly, or refused by name."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from support import pki

from modelkeep.authn import certificates, issuers, pem
from modelkeep.authz import identity
from modelkeep.domain import errors

ONE = {"issuer": "https://a.example", "audience": "mk", "principal_prefix": "user:a/"}
TOML = """
[[issuer]]
issuer = "https://login.example.com"
audience = ["modelkeep", "registry"]
principal_prefix = "user:"
user_claim = "email"
groups_claim = "groups"

[[issuer]]
issuer = "https://kubernetes.default.svc.cluster.local"
jwks_uri = "https://kubernetes.default.svc/openid/v1/jwks"
audience = "modelkeep"
principal_prefix = "service:k8s/"
algorithms = ["RS256"]
leeway_s = 10
ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""


def test_a_file_says_who_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "oidc.toml"
    path.write_text(TOML)
    login, cluster = issuers.read(path)
    assert login.audience == ("modelkeep", "registry")
    assert (login.user_claim, login.groups_claim) == (("email",), ("groups",))
    assert (login.algorithms, login.leeway_s) == (("RS256", "ES256"), 30)
    assert cluster.principal_prefix == "service:k8s/"
    assert cluster.ca_file == Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
    as_json = tmp_path / "oidc.json"
    as_json.write_text(json.dumps({"issuer": [ONE]}))
    assert issuers.read(as_json)[0].issuer == "https://a.example"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithms": ["HS256"]}, "HS256"),
        ({"algorithms": ["none"]}, "none"),
        ({"algorithms": []}, "at least one"),
        ({"issuer": "http://a.example"}, "not https"),
        ({"issuer": "https://user@a.example"}, "not a URL"),
        ({"issuer": "a.example"}, "URL"),
        ({"jwks_uri": "http://10.0.0.1/keys"}, "not https"),
        ({"jwks_uri": "file:///keys"}, "URL"),
        ({"audience": []}, "at least one"),
        ({"audience": ""}, "expected text"),
        ({"audience": 7}, "expected text"),
        ({"principal_prefix": ""}, "expected text"),
        ({"principal_prefix": "admin/"}, "user: or service:"),
        ({"principal_prefix": "group:"}, "user: or service:"),
        ({"group_prefix": "user:"}, "group:"),
        ({"leeway_s": 301}, "0 to 300"),
        ({"leeway_s": True}, "whole number"),
        ({"leeway_s": -1}, "whole number"),
        ({"keys_kept_s": 1}, "3600"),
        ({"audiences": "x"}, "no setting 'audiences'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = tmp_path / "oidc.json"
    path.write_text(json.dumps({"issuer": [ONE | changes]}))
    with pytest.raises(errors.FailedPrecondition) as refused:
        issuers.read(path)
    assert str(path) in refused.value.message
    assert said in refused.value.message


@pytest.mark.parametrize("name", ["issuer", "audience", "principal_prefix"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "oidc.json"
    path.write_text(json.dumps({"issuer": [{k: v for k, v in ONE.items() if k != name}]}))
    with pytest.raises(errors.FailedPrecondition, match=f"{name} is missing"):
        issuers.read(path)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"issuer": "https://b.example"},
        {"issuer": "https://b.example", "principal_prefix": "user:a/b/"},
        {"issuer": "https://b.example", "principal_prefix": "user:"},
    ],
)
def test_no_issuer_can_name_anothers_users(tmp_path: Path, other: dict[str, Any]) -> None:
    path = tmp_path / "oidc.json"
    path.write_text(json.dumps({"issuer": [ONE, ONE | other]}))
    with pytest.raises(errors.FailedPrecondition):
        issuers.read(path)


def test_no_issuer_can_name_anothers_groups(tmp_path: Path) -> None:
    first = ONE | {"groups_claim": "groups"}
    second = first | {"issuer": "https://b.example", "principal_prefix": "user:b/"}
    path = tmp_path / "oidc.json"
    path.write_text(json.dumps({"issuer": [first, second]}))
    with pytest.raises(errors.FailedPrecondition, match="groups"):
        issuers.read(path)
    apart = [first | {"group_prefix": "group:a/"}, second | {"group_prefix": "group:b/"}]
    path.write_text(json.dumps({"issuer": apart}))
    assert len(issuers.read(path)) == 2


@pytest.mark.parametrize(
    "content", ["", "[issuer]", "issuer = []", "x = 1", "issuer = [7]", "[[issuer", "\x00"]
)
def test_what_is_no_list_of_issuers_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "oidc.toml"
    path.write_text(content)
    with pytest.raises(errors.FailedPrecondition, match="MODELKEEP_OIDC_FILE"):
        issuers.read(path)
    with pytest.raises(errors.FailedPrecondition, match="No such file"):
        issuers.read(tmp_path / "missing.toml")


RULES = certificates.read_rules(
    "URI:spiffe://prod/ns/ci/sa/trainer=service:trainer, DNS:CI.example.com=service:ci,"
    "EMAIL:alice@Example.com=user:alice, DNS:ci2.example.com=service:ci"
)


async def meant(*names: str, bearer: str = "") -> str | None:
    way = certificates.CertificateWay(RULES)
    found = await way.identify(identity.Presented(bearer, names))
    return found.principal if found else None


async def test_a_name_means_whom_the_rule_says() -> None:
    assert await meant("URI:spiffe://prod/ns/ci/sa/trainer") == "service:trainer"
    assert await meant("DNS:ci.example.com", "DNS:unrelated.example") == "service:ci"
    assert await meant("DNS:ci.example.com", "DNS:ci2.example.com") == "service:ci"
    assert await meant("EMAIL:alice@example.com") == "user:alice"
    assert await meant() is None
    assert await meant("DNS:ci.example.com", bearer="mk_token") is None, "the token counts"


@pytest.mark.parametrize(
    "name",
    [
        "URI:spiffe://prod/ns/ci/sa/trainer/",
        "URI:spiffe://prod/ns/ci/sa/trainer2",
        "URI:spiffe://prod/ns/ci/sa",
        "URI:SPIFFE://prod/ns/ci/sa/trainer",
        "URI:spiffe://prod/ns/ci/sa/Trainer",
        "URI:spiffe://prod/ns/ci/sa/../sa/trainer",
        "DNS:spiffe://prod/ns/ci/sa/trainer",
        "URI:ci.example.com",
        "DNS:xci.example.com",
        "DNS:ci.example.com.evil.example",
        "DNS:*.example.com",
        "DNS:ci.example.com\x00.evil.example",
        "EMAIL:ci.example.com",
        "EMAIL:Alice@example.com",
    ],
)
async def test_a_name_that_is_only_alike_means_nobody(name: str) -> None:
    with pytest.raises(errors.Unauthenticated) as refused:
        await meant(name)
    assert refused.value.reason == "CERTIFICATE_UNKNOWN"


async def test_names_of_two_principals_are_nobodys() -> None:
    with pytest.raises(errors.Unauthenticated) as refused:
        await meant("DNS:ci.example.com", "URI:spiffe://prod/ns/ci/sa/trainer")
    assert refused.value.reason == "CERTIFICATE_AMBIGUOUS"


@pytest.mark.parametrize(
    "text",
    [
        "ci.example.com=service:ci",
        "CN:ci=service:ci",
        "DNS:=service:ci",
        "DNS:*.example.com=service:ci",
        "DNS:ci.example.com",
        "DNS:ci.example.com=ci",
        "DNS:ci.example.com=group:ci",
        "DNS:ci.example.com=service:",
        "DNS:a=service:ci,DNS:A=service:other",
    ],
)
def test_a_rule_that_says_nothing_clear_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"DNS|CN|expected"):
        certificates.read_rules(text)


def test_no_rules_are_no_rules() -> None:
    assert certificates.read_rules("") == certificates.read_rules(" , ") == {}


def test_a_pair_that_is_good_tells_its_facts() -> None:
    pair = pki.authority().issue()
    facts = pem.check_pair(pair.pem, pair.key_pem)
    assert facts.names == ("localhost", "127.0.0.1")
    assert facts.expires_at > datetime.datetime.now(datetime.UTC)


def test_a_pair_that_is_not_good_is_refused() -> None:
    authority = pki.authority()
    pair, other = authority.issue(), authority.issue()
    expired = authority.issue(ends=-pki.DAY / 2)
    early = authority.issue(starts=pki.DAY)
    secret = pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    for certificate, key, said in (
        (pair.pem, other.key_pem, "not the certificate's"),
        (expired.pem, expired.key_pem, "expired"),
        (early.pem, early.key_pem, "good from"),
        (pair.pem, secret, "encrypted"),
        (pair.pem[:100], pair.key_pem, "no certificate"),
        (b"", pair.key_pem, "no certificate"),
        (pair.pem, b"", "no key"),
        (pair.pem, pair.pem, "no key"),
    ):
        with pytest.raises(errors.FailedPrecondition, match=said):
            pem.check_pair(certificate, key)
    with pytest.raises(errors.FailedPrecondition, match="no authority"):
        pem.check_authorities(b"nothing")
    assert pem.check_authorities(authority.pem + authority.pem) == 2


def test_a_certificate_without_names_has_none() -> None:
    pair = pki.authority().issue(())
    assert pem.check_pair(pair.pem, pair.key_pem).names == ()
