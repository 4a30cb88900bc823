"""Documents of an issuer, over https: bounded in time and size, without redirects."""

import asyncio
import json
import ssl
import urllib.parse
from typing import Any

import aiohttp

import modelkeep
from modelkeep.authn import issuers

TIMEOUT_S = 5.0
_DISCOVERY = "/.well-known/openid-configuration"
_DISCOVERY_BYTES = 64 * 1024
_KEYS_BYTES = 512 * 1024
_HEADER_BYTES = 8190


class Unfetched(Exception):
    """The issuer did not give what was asked for; the message says why, for the operator."""


async def keys(issuer: issuers.Issuer) -> list[Any]:
    """What the issuer lists as its keys now, of any quality; raises `Unfetched`."""
    try:
        async with asyncio.timeout(2 * TIMEOUT_S), _session(issuer) as session:
            url = issuer.jwks_uri or await _discovered(session, issuer)
            found = await _document(session, issuer, url, _KEYS_BYTES)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as failure:
        raise Unfetched(_sentence(failure)) from failure
    listed = found.get("keys")
    if not isinstance(listed, list):
        raise Unfetched(f"{url} has no list of keys")
    return listed


async def _discovered(session: aiohttp.ClientSession, issuer: issuers.Issuer) -> str:
    """Where discovery says that the keys are (OpenID Connect Discovery 1.0, section 4)."""
    url = issuer.issuer.rstrip("/") + _DISCOVERY
    found = await _document(session, issuer, url, _DISCOVERY_BYTES)
    if found.get("issuer") != issuer.issuer:
        raise Unfetched(f"{url} is about another issuer, {str(found.get('issuer'))[:200]!r}")
    if not isinstance(found.get("jwks_uri"), str):
        raise Unfetched(f"{url} does not say where the keys are")
    return issuers.require_secure(found["jwks_uri"])


async def _document(
    session: aiohttp.ClientSession, issuer: issuers.Issuer, url: str, limit_bytes: int
) -> dict[str, Any]:
    headers = _authorization(issuer, url)
    async with session.get(url, headers=headers, allow_redirects=False) as answer:
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise Unfetched(f"{url} answers HTTP {answer.status}{_advice(issuer, answer.status)}")
        raw = await _at_most(answer.content, limit_bytes)
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise Unfetched(f"{url} is no JSON object")
    return found


async def _at_most(content: aiohttp.StreamReader, limit_bytes: int) -> bytes:
    found = bytearray()
    while block := await content.read(64 * 1024):
        found += block
        if len(found) > limit_bytes:
            raise Unfetched(f"the answer is larger than {limit_bytes} bytes")
    return bytes(found)


def _authorization(issuer: issuers.Issuer, url: str) -> dict[str, str]:
    """Our token, for the hosts that the configuration names only: discovery could name any."""
    named = {_origin(issuer.issuer), _origin(issuer.jwks_uri)}
    if issuer.token_file is None or _origin(url) not in named:
        return {}
    return {"authorization": f"Bearer {issuer.token_file.read_text(encoding='ascii').strip()}"}


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _advice(issuer: issuers.Issuer, status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return ", and redirects are not followed: name the place itself as jwks_uri"
    if status in {401, 403} and issuer.token_file and not issuer.jwks_uri:
        return "; the token is sent to hosts that the file names only: name it as jwks_uri"
    return ""


def _session(issuer: issuers.Issuer) -> aiohttp.ClientSession:
    """A session for one fetch, so that renewed CA files take effect."""
    trusted = ssl.create_default_context(cafile=issuer.ca_file)
    trusted.minimum_version = ssl.TLSVersion.TLSv1_2
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusted, force_close=True),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"accept": "application/json", "user-agent": f"modelkeep/{modelkeep.__version__}"},
        trust_env=False,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )


def _sentence(failure: BaseException) -> str:
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    if isinstance(failure, RecursionError):
        return "the answer is nested too deeply"
    text = str(failure) or type(failure).__name__
    return "".join(char if char.isprintable() else " " for char in text)[:300]
