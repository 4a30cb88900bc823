"""Tokens of issuers: the good one is taken, and every trick is refused by name."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import hypothesis
import jwt
import pytest
from hypothesis import strategies as st
from support import token_issuer

from modelkeep.authn import jwks, tokens
from modelkeep.authn import jwt as token_way
from modelkeep.authz import identity
from modelkeep.domain import errors

RSA = token_issuer.rsa_key()
EC = token_issuer.ec_key()
STRANGER = token_issuer.rsa_key("rsa-1")
HOUR = 3600


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[token_issuer.TokenIssuer]:
    async with token_issuer.running(RSA, EC) as started:
        yield started


@pytest.fixture
async def way(issuer: token_issuer.TokenIssuer) -> AsyncIterator[token_way.TokenWay]:
    trusted = issuer.trusted(groups_claim=("groups",))
    made = token_way.TokenWay([(trusted, jwks.KeySet(trusted))])
    yield made
    await made.close()


async def identify(way: token_way.TokenWay, token: str) -> identity.Identity | None:
    return await way.identify(identity.Presented(bearer=token))


async def refusal(way: token_way.TokenWay, token: str) -> str:
    """The reason of the refusal that must come, whose words have nothing of the token."""
    with pytest.raises(errors.Unauthenticated) as refused:
        await identify(way, token)
    assert token not in refused.value.message
    return refused.value.reason


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS256", "ES256"])
async def test_a_good_token_says_who_calls(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay, key: token_issuer.SigningKey
) -> None:
    found = await identify(way, issuer.token(key, groups=["ml", "ops"]))
    assert found == identity.Identity("user:alice", frozenset({"group:ml", "group:ops"}))


@pytest.mark.parametrize("bearer", ["", "mk_abcdef", "a.b.c", "ey", "eyJ.x", "ey.a.b.c"])
async def test_what_is_no_json_web_token_is_left_to_others(
    way: token_way.TokenWay, bearer: str
) -> None:
    assert await identify(way, bearer) is None


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": time.time() - HOUR}, "TOKEN_EXPIRED"),
        ({"exp": time.time() - 31}, "TOKEN_EXPIRED"),
        ({"nbf": time.time() + HOUR}, "TOKEN_NOT_YET_VALID"),
        ({"iat": time.time() + HOUR}, "TOKEN_NOT_YET_VALID"),
        ({"aud": "somebody-else"}, "TOKEN_WRONG_AUDIENCE"),
        ({"aud": ["a", "b"]}, "TOKEN_WRONG_AUDIENCE"),
        ({"aud": []}, "TOKEN_INCOMPLETE"),
        ({"aud": None}, "TOKEN_INCOMPLETE"),
        ({"exp": None}, "TOKEN_INCOMPLETE"),
        ({"exp": "soon"}, "TOKEN_MALFORMED"),
        ({"exp": 1e400}, "TOKEN_MALFORMED"),
        ({"iss": "https://attacker.example"}, "TOKEN_UNTRUSTED_ISSUER"),
        ({"iss": None}, "TOKEN_MALFORMED"),
        ({"iss": ["x"]}, "TOKEN_MALFORMED"),
        ({"sub": None}, "TOKEN_INCOMPLETE"),
        ({"sub": ""}, "TOKEN_INCOMPLETE"),
        ({"sub": "a b"}, "TOKEN_INCOMPLETE"),
        ({"sub": "alice\u202e"}, "TOKEN_INCOMPLETE"),
        ({"sub": "alice\nadmin"}, "TOKEN_INCOMPLETE"),
        ({"sub": "x" * 300}, "TOKEN_INCOMPLETE"),
        ({"sub": "älice"}, "TOKEN_INCOMPLETE"),
        ({"sub": "al*ce"}, "TOKEN_INCOMPLETE"),
        ({"sub": 7}, "TOKEN_MALFORMED"),
    ],
)
async def test_claims_that_are_not_good_are_refused(
    issuer: token_issuer.TokenIssuer,
    way: token_way.TokenWay,
    claims: dict[str, Any],
    reason: str,
) -> None:
    content = issuer.claims(**claims)
    token = jwt.api_jws.encode(
        json.dumps(content).encode(), RSA.private, "RS256", headers={"kid": RSA.id}
    )
    assert await refusal(way, token) == reason


async def test_clocks_may_differ_a_little(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay
) -> None:
    now = time.time()
    assert await identify(way, issuer.token(RSA, exp=now - 20, nbf=now + 20))


async def test_one_of_several_audiences_suffices(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay
) -> None:
    assert await identify(way, issuer.token(RSA, aud=["other", token_issuer.AUDIENCE]))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "HS256", "ES256K", "RSA1_5"])
async def test_an_algorithm_that_is_not_allowed_is_refused(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay, name: str
) -> None:
    for signature in (b"", b"x" * 256):
        unsigned = token_issuer.raw_token({"alg": name, "kid": RSA.id}, issuer.claims(), signature)
        assert await refusal(way, unsigned) in {"TOKEN_BAD_SIGNATURE", "TOKEN_MALFORMED"}


async def test_the_public_key_is_no_shared_secret(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay
) -> None:
    """The HS/RS confusion: signed with HMAC under the text of the public key."""
    head = {"alg": "HS256", "kid": RSA.id, "typ": "JWT"}
    for secret in (RSA.public_pem, RSA.public_pem.strip(), json.dumps(RSA.jwk).encode()):
        unsigned = token_issuer.raw_token(head, issuer.claims()).rpartition(".")[0]
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            unsigned.encode(), secret
        )
        forged = token_issuer.raw_token(head, issuer.claims(), signature)
        assert await refusal(way, forged) == "TOKEN_BAD_SIGNATURE"


async def test_a_key_is_for_its_own_algorithm(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay
) -> None:
    crossed = issuer.token(EC, header={"kid": RSA.id})
    assert await refusal(way, crossed) == "TOKEN_BAD_SIGNATURE"
    other = jwt.encode(issuer.claims(), RSA.private, "RS512", headers={"kid": RSA.id})
    assert await refusal(way, other) == "TOKEN_BAD_SIGNATURE"


async def test_a_strangers_signature_is_refused(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay
) -> None:
    assert await refusal(way, issuer.token(STRANGER)) == "TOKEN_BAD_SIGNATURE"


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_changed_token_is_refused(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay, part: int
) -> None:
    parts = issuer.token(RSA).split(".")
    other = issuer.token(RSA, header={"x": 1}, sub="mallory").split(".")
    parts[part] = other[part]
    assert await refusal(way, ".".join(parts)) == "TOKEN_BAD_SIGNATURE"


@pytest.mark.parametrize(
    "key_id",
    [
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "file:///dev/null",
        "' OR 1=1 --",
        "x' UNION SELECT 'secret' --",
        "https://attacker.example/keys",
        "|/usr/bin/id",
        "rsa-1\x00",
        "RSA-1",
        "rsa-1 ",
    ],
)
async def test_a_key_id_is_looked_up_and_nothing_else(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay, key_id: str
) -> None:
    await identify(way, issuer.token(RSA))
    asked = issuer.asked
    forged = issuer.token(STRANGER, header={"kid": key_id})
    assert await refusal(way, forged) == "TOKEN_BAD_SIGNATURE"
    assert issuer.asked == asked, "an unknown key id just after a fetch starts none"


@pytest.mark.parametrize("header", ["jku", "x5u"])
async def test_the_place_of_a_key_that_a_token_names_is_not_visited(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay, header: str
) -> None:
    async with token_issuer.running(STRANGER) as attacker:
        place = {header: f"{attacker.url}/keys"}
        assert await refusal(way, issuer.token(STRANGER, header=place)) == "TOKEN_BAD_SIGNATURE"
        assert await identify(way, issuer.token(RSA, header=place))
        assert attacker.asked == 0


async def test_a_key_that_a_token_brings_along_is_not_used(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay
) -> None:
    brought: list[dict[str, Any]] = [{"jwk": STRANGER.jwk}, {"x5c": ["MIIB"]}]
    for header in brought:
        assert await refusal(way, issuer.token(STRANGER, header=header)) == "TOKEN_BAD_SIGNATURE"


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        (b'{"alg":"RS256","alg":"none"}', {}),
        ({"alg": "RS256"}, b'{"iss":"a","iss":"b"}'),
        ({"alg": "RS256"}, b'{"iss":"a","sub":"alice","sub":"admin"}'),
        ({"alg": "RS256"}, b'{"iss":"a","x":{"y":1,"y":2}}'),
        ({"alg": "RS256", "crit": ["exp"]}, {"iss": "a"}),
        ({"alg": "RS256", "b64": False}, {"iss": "a"}),
        ({"alg": "RS256", "typ": "logout+jwt"}, {"iss": "a"}),
        ({"alg": "RS256", "typ": 7}, {"iss": "a"}),
        ({"alg": "RS256", "kid": 7}, {"iss": "a"}),
        ({"alg": "RS256", "kid": "k" * 257}, {"iss": "a"}),
        ({"alg": 7}, {"iss": "a"}),
        ({"kid": "rsa-1"}, {"iss": "a"}),
        ({"alg": "RS256"}, b'{"iss":"a","exp":NaN}'),
        ({"alg": "RS256"}, b"[]"),
        ({"alg": "RS256"}, b"\xff\xfe"),
        ({"alg": "RS256"}, b"[" * 9000),
        (b'{"a":' * 1500, {}),
    ],
)
async def test_what_nobody_should_have_issued_is_malformed(
    way: token_way.TokenWay, header: Any, claims: Any
) -> None:
    assert await refusal(way, token_issuer.raw_token(header, claims)) == "TOKEN_MALFORMED"


async def test_a_token_of_a_megabyte_is_not_looked_into(way: token_way.TokenWay) -> None:
    huge = token_issuer.raw_token({"alg": "RS256"}, {"iss": "x" * 1_000_000})
    assert await refusal(way, huge) == "TOKEN_MALFORMED"


async def test_base64_is_read_strictly(
    issuer: token_issuer.TokenIssuer, way: token_way.TokenWay
) -> None:
    token = issuer.token(RSA)
    for spoilt in (
        token.replace(".", "=.", 1),
        f"{token}=",
        f"{token}\n",
        token[:9] + "+" + token[10:],
    ):
        with contextlib.suppress(errors.Unauthenticated):
            assert await identify(way, spoilt) is None, "not one at all"


@hypothesis.given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=50))
def test_no_bytes_are_more_than_malformed(header: bytes, claims: bytes, signature: bytes) -> None:
    with contextlib.suppress(tokens.Malformed):
        tokens.open_unverified(token_issuer.raw_token(header, claims, signature))


@hypothesis.given(st.text(max_size=300))
def test_no_text_is_more_than_malformed(text: str) -> None:
    with contextlib.suppress(tokens.Malformed):
        tokens.open_unverified(text)


async def test_where_the_names_are_is_configured(issuer: token_issuer.TokenIssuer) -> None:
    trusted = issuer.trusted(
        principal_prefix="service:k8s/",
        user_claim=("kubernetes.io", "serviceaccount", "name"),
        groups_claim=("realm", "roles"),
        group_prefix="group:k8s/",
    )
    way = token_way.TokenWay([(trusted, jwks.KeySet(trusted))])
    inner = {"kubernetes.io": {"serviceaccount": {"name": "trainer"}}}
    token = issuer.token(RSA, **inner, realm={"roles": ["ml", 7, "", "a b", None]})
    found = await identify(way, token)
    assert found == identity.Identity("service:k8s/trainer", frozenset({"group:k8s/ml"}))
    broken = issuer.token(RSA, **{"kubernetes.io": "trainer"})
    assert await refusal(way, broken) == "TOKEN_INCOMPLETE"


@pytest.mark.parametrize(("verified", "is_taken"), [(True, True), (False, False), ("true", False)])
async def test_an_address_that_is_not_verified_is_nobody(
    issuer: token_issuer.TokenIssuer, verified: Any, is_taken: bool
) -> None:
    trusted = issuer.trusted(user_claim=("email",))
    way = token_way.TokenWay([(trusted, jwks.KeySet(trusted))])
    token = issuer.token(RSA, email="a@b.example", email_verified=verified)
    if is_taken:
        assert (await identify(way, token)) == identity.Identity("user:a@b.example")
    else:
        assert await refusal(way, token) == "TOKEN_INCOMPLETE"


async def test_each_issuers_keys_are_for_its_own_tokens(issuer: token_issuer.TokenIssuer) -> None:
    async with token_issuer.running(STRANGER) as second:
        pairs = [(one, jwks.KeySet(one)) for one in (issuer.trusted(), second.trusted())]
        way = token_way.TokenWay(pairs)
        assert await identify(way, second.token(STRANGER))
        forged = second.token(STRANGER, iss=issuer.url)
        assert await refusal(way, forged) == "TOKEN_BAD_SIGNATURE"
        await asyncio.gather(*(key_set.close() for _, key_set in pairs))
