"""The keys of an issuer: fetched once for all, renewed, kept while it is away, and bounded."""

import asyncio
import dataclasses
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support import pki, token_issuer

from modelkeep.authn import fetching, jwks, keys
from modelkeep.domain import errors

FIRST, SECOND = token_issuer.rsa_key("first"), token_issuer.rsa_key("second")


@pytest.fixture
async def issuer() -> AsyncIterator[token_issuer.TokenIssuer]:
    async with token_issuer.running(FIRST) as started:
        yield started


@dataclasses.dataclass
class Clock:
    """Seconds that a test lets pass."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


class Kept(jwks.KeySet):
    """A key set whose time the test makes."""

    def __init__(self, issuer: token_issuer.TokenIssuer, **settings: Any) -> None:
        self.clock = Clock()
        super().__init__(issuer.trusted(**settings), clock=self.clock)

    async def has(self, key_id: str) -> bool:
        return await self.find(key_id, "RS256") is not None


async def broken(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def test_keys_are_fetched_once_and_then_known(issuer: token_issuer.TokenIssuer) -> None:
    kept = Kept(issuer)
    for _ in range(3):
        assert await kept.has("first")
    assert issuer.asked == 1


async def test_sixty_four_at_once_wait_for_one_fetch(issuer: token_issuer.TokenIssuer) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        return web.json_response({"keys": issuer.keys})

    issuer.behaviour = slowly
    kept = Kept(issuer)
    waiting = [asyncio.create_task(kept.has("first")) for _ in range(64)]
    await asyncio.wait_for(asked.wait(), 10)
    waiting[0].cancel()  # who began it may go away
    go_on.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [True] * 63
    assert issuer.asked == 1


async def test_sixty_four_unknown_key_ids_at_once_are_one_fetch(
    issuer: token_issuer.TokenIssuer,
) -> None:
    kept = Kept(issuer)
    await kept.has("first")
    kept.clock.now_s = jwks.BETWEEN_FETCHES_S
    found = await asyncio.gather(*(kept.has(f"none-{number}") for number in range(64)))
    assert not any(found)
    assert issuer.asked == 2


async def test_a_new_key_is_found_as_soon_as_a_token_names_it(
    issuer: token_issuer.TokenIssuer,
) -> None:
    kept = Kept(issuer)
    assert await kept.has("first")
    issuer.keys = [SECOND.jwk]
    assert not await kept.has("second"), "only just asked"
    kept.clock.now_s = jwks.BETWEEN_FETCHES_S
    assert await kept.has("second")
    assert not await kept.has("first"), "no longer listed is no longer good"


async def test_unknown_key_ids_do_not_make_us_ask_without_end(
    issuer: token_issuer.TokenIssuer,
) -> None:
    kept = Kept(issuer)
    for number in range(200):
        kept.clock.now_s = number / 10  # twenty seconds of attempts
        assert not await kept.has(f"guess-{number}")
    assert issuer.asked == 2


async def test_old_keys_are_renewed_without_anybody_waiting(
    issuer: token_issuer.TokenIssuer,
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    kept = Kept(issuer)
    assert await kept.has("first")

    async def slowly(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        return web.json_response({"keys": [SECOND.jwk]})

    issuer.behaviour = slowly
    kept.clock.now_s = jwks.FRESH_S + 1
    assert await kept.has("first"), "answered at once, from what is there"
    await asyncio.wait_for(asked.wait(), 10)
    go_on.set()
    assert await kept.has("second"), "joins the fetch that is under way"


async def test_known_keys_go_on_while_the_issuer_is_away(issuer: token_issuer.TokenIssuer) -> None:
    kept = Kept(issuer, keys_kept_s=3600)
    assert await kept.has("first")
    issuer.behaviour = broken
    kept.clock.now_s = 3599
    assert await kept.has("first")
    kept.clock.now_s = 3601
    with pytest.raises(errors.Unavailable) as away:
        await kept.has("first")
    assert away.value.reason == "ISSUER_UNAVAILABLE"
    issuer.behaviour = None
    kept.clock.now_s += jwks.BETWEEN_FETCHES_S
    assert await kept.has("first")


async def test_of_an_unknown_key_nobody_knows_while_the_issuer_is_away(
    issuer: token_issuer.TokenIssuer,
) -> None:
    """It may be new, so the caller is not told that the token is bad."""
    kept = Kept(issuer)
    assert await kept.has("first")
    issuer.behaviour = broken
    kept.clock.now_s = jwks.BETWEEN_FETCHES_S
    for _ in range(2):  # the second finds that it was asked only just
        with pytest.raises(errors.Unavailable):
            await kept.has("second")
    assert issuer.asked == 2
    assert await kept.has("first")


async def test_without_an_id_the_only_key_is_meant(issuer: token_issuer.TokenIssuer) -> None:
    assert await Kept(issuer).has("")
    issuer.keys.append(SECOND.jwk)
    assert not await Kept(issuer).has("")


async def answer(issuer: token_issuer.TokenIssuer, response: web.StreamResponse) -> str:
    """Why that answer is not taken."""

    async def give(_request: web.Request) -> web.StreamResponse:
        return response

    issuer.behaviour = give
    with pytest.raises(fetching.Unfetched) as refused:
        await fetching.keys(issuer.trusted())
    return str(refused.value)


async def test_answers_that_are_none_are_refused(issuer: token_issuer.TokenIssuer) -> None:
    assert "HTTP 503" in await answer(issuer, web.Response(status=503))
    assert "larger than" in await answer(issuer, web.Response(body=b" " * 600_000))
    assert await answer(issuer, web.Response(text="no JSON"))
    assert "no JSON object" in await answer(issuer, web.json_response([]))
    assert "list of keys" in await answer(issuer, web.json_response({"keys": {}}))
    assert await answer(issuer, web.Response(body=b"[" * 100_000))


async def test_redirects_are_not_followed(issuer: token_issuer.TokenIssuer) -> None:
    async with token_issuer.running(SECOND) as other:
        there = web.Response(status=302, headers={"location": f"{other.url}/keys"})
        assert "redirects are not followed" in await answer(issuer, there)
        assert other.asked == 0


async def test_discovery_must_be_about_the_issuer_and_lead_to_https(
    issuer: token_issuer.TokenIssuer,
) -> None:
    for wrong in (
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://issuer.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
    ):
        issuer.discovery = wrong
        with pytest.raises(fetching.Unfetched):
            await fetching.keys(issuer.trusted())
    assert issuer.asked == 0


async def test_an_issuer_that_does_not_answer_is_given_up(
    issuer: token_issuer.TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.2)
    never = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        await never.wait()
        raise AssertionError

    issuer.behaviour = silent
    with pytest.raises(fetching.Unfetched, match="no answer in time"):
        await fetching.keys(issuer.trusted())


@pytest.mark.parametrize(
    "spoilt",
    [
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "ES256"},
        {"d": "AQAB"},
        {"kty": "XYZ"},
        {"n": "AQAB"},
        {"n": 7},
        {"kid": 7},
        {"kid": "k" * 300},
    ],
)
def test_keys_that_are_not_fit_are_left_out(spoilt: dict[str, Any]) -> None:
    found, reasons = keys.fit([{**FIRST.jwk, **spoilt}, SECOND.jwk, 7, None])
    assert [key.id for key in found] == ["second"]
    assert len(reasons) == 3


def test_short_keys_are_left_out() -> None:
    assert keys.fit([token_issuer.rsa_key("short", 1024).jwk])[0] == []


def test_the_number_of_keys_is_bounded() -> None:
    found, reasons = keys.fit([FIRST.jwk] * (keys.MAX_KEYS + 1))
    assert len(found) == keys.MAX_KEYS
    assert len(reasons) == 1


async def test_an_empty_list_is_a_mishap(issuer: token_issuer.TokenIssuer) -> None:
    kept = Kept(issuer)
    assert await kept.has("first")
    issuer.keys = []
    kept.clock.now_s = jwks.FRESH_S + 1
    with pytest.raises(errors.Unavailable):
        await kept.has("second")
    assert await kept.has("first")


async def test_an_authority_and_a_token_of_ones_own(tmp_path: Path) -> None:
    """As a Kubernetes API server wants it: its own authority, and a token that is renewed."""
    authority = pki.authority()
    certificate, key = authority.issue().write(tmp_path, "issuer")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    ca, token = authority.write_ca(tmp_path), tmp_path / "token"
    async with token_issuer.running(FIRST, tls=context) as issuer:
        token.write_text("one\n")
        trusted = issuer.trusted(ca_file=ca, token_file=token)
        assert await fetching.keys(trusted)
        token.write_text("two\n")
        assert await fetching.keys(trusted)
        sent = [headers.get("authorization") for headers in issuer.headers]
        assert sent == ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]
        with pytest.raises(fetching.Unfetched, match="certificate"):
            await fetching.keys(issuer.trusted())


async def test_our_token_goes_to_hosts_only_that_the_file_names(
    issuer: token_issuer.TokenIssuer, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("ours")
    async with token_issuer.running(SECOND) as other:
        issuer.discovery = {"jwks_uri": f"{other.url}/keys"}
        assert await fetching.keys(issuer.trusted(token_file=token))
        assert "authorization" in issuer.headers[-1]
        assert "authorization" not in other.headers[-1]
        named = issuer.trusted(token_file=token, jwks_uri=f"{other.url}/keys")
        assert await fetching.keys(named)
        assert other.headers[-1]["authorization"] == "Bearer ours"


async def test_what_is_under_way_ends_with_the_key_set(issuer: token_issuer.TokenIssuer) -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await never.wait()
        raise AssertionError

    issuer.behaviour = silent
    kept = Kept(issuer)
    waiting = asyncio.create_task(kept.has("first"))
    await asyncio.wait_for(asked.wait(), 10)
    await kept.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_public_key_is_told_apart_from_its_list() -> None:
    """A list that was written by hand, as some are."""
    listed = json.loads(json.dumps([{k: v for k, v in FIRST.jwk.items() if k != "alg"}]))
    (key,) = keys.fit(listed)[0]
    assert "PS256" in key.algorithms
