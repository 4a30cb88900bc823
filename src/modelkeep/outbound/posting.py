"""Posts a message to a receiver: bounded in time and size, to allowed addresses, no redirects."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import aiohttp

import modelkeep
from modelkeep.domain import addresses, webhooks
from modelkeep.outbound import guard

CONNECT_TIMEOUT_S = 5.0
_KEPT_BYTES = 1024
_ERROR_CHARS = 300
_HEADER_BYTES = 8190


class Poster:
    """A client that nothing can talk into reaching what it must not.

    Args:
        allowed: networks that are allowed although they are not public.
        timeout_s: how long one request may take in all, in seconds.
    """

    def __init__(self, allowed: Sequence[addresses.Network], timeout_s: float) -> None:
        self._resolver = guard.Resolver()
        connector = aiohttp.TCPConnector(
            limit=0,  # who calls decides how many at once
            force_close=True,
            use_dns_cache=False,
            resolver=self._resolver,
            socket_factory=guard.Guard(allowed).socket_for,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> webhooks.Answer:
        """Post JSON; whatever goes wrong is in the answer."""
        began = time.monotonic()
        status, error, response = None, "", b""
        sent = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"modelkeep/{modelkeep.__version__}",
            **headers,
        }
        try:
            async with self._session.post(
                url, data=body, headers=sent, allow_redirects=False
            ) as answered:
                status = answered.status
                response = await _beginning(answered.content)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as failure:
            error = _sentence(failure)
        took_ms = round((time.monotonic() - began) * 1000)
        return webhooks.Answer(status, error, _text(response), took_ms)

    async def close(self) -> None:
        """Drop what is under way."""
        await self._session.close()
        await self._resolver.close()


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    found = bytearray()
    while len(found) < _KEPT_BYTES and (block := await content.read(_KEPT_BYTES - len(found))):
        found += block
    return bytes(found)


def _text(response: bytes) -> str:
    text = response.decode("utf-8", "replace")
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _sentence(failure: Exception) -> str:
    if isinstance(failure, asyncio.TimeoutError):
        return "no answer in time"
    cause: BaseException = failure
    while cause.__cause__ is not None:  # a refusal of ours is what says most
        cause = cause.__cause__
        if isinstance(cause, guard.Forbidden):
            return str(cause)
    text = str(failure) or type(failure).__name__
    return "".join(char if char.isprintable() else " " for char in text)[:_ERROR_CHARS]
