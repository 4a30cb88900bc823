"""A webhook's receiver on the loopback, which does what a test wants with each message."""

import asyncio
import base64
import collections
import contextlib
import dataclasses
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from support import uploading

from modelkeep import config as configuration

KEYS = (b"k" * 32, b"l" * 32)


@dataclass(frozen=True)
class Message:
    """What was posted."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def sequence(self) -> int:
        return self.body["data"]["sequence"]

    @property
    def resource(self) -> str:
        return self.body["data"]["resource"]


Behaviour = Callable[[Message, web.Request], Awaitable[web.StreamResponse]]


async def fine(_message: Message, _request: web.Request) -> web.StreamResponse:
    return web.Response(text="thanks")


def answering(status: int, **headers: str) -> Behaviour:
    async def answer(_message: Message, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, text="x" * 5000)

    return answer


@dataclass
class Receiver:
    """`received` has every message, also those not answered; `accepted` those answered 2xx."""

    url: str = ""
    behaviour: Behaviour = fine
    received: list[Message] = field(default_factory=list)
    accepted: list[Message] = field(default_factory=list)
    under_way: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    overlaps: int = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        message = Message(request.path, dict(request.headers), await request.read())
        self.received.append(message)
        key = (message.path, message.resource)
        self.under_way[key] += 1
        self.overlaps += self.under_way[key] > 1
        try:
            answer = await self.behaviour(message, request)
            if 200 <= answer.status < 300:
                self.accepted.append(message)
            return answer
        finally:
            self.under_way[key] -= 1

    async def until_accepted(self, count: int) -> list[Message]:
        await uploading.until(lambda: len(self.accepted) >= count)
        return self.accepted

    async def until_received(self, count: int) -> list[Message]:
        await uploading.until(lambda: len(self.received) >= count)
        return self.received


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        async with asyncio.timeout(5):
            await runner.cleanup()


def configured(
    config: configuration.Config, *, allowed: str = "127.0.0.0/8", **settings: Any
) -> configuration.Config:
    """A server that may post to the loopback, keeps secrets, and has little patience."""
    quick = {"webhook_first_retry_s": 0.05, "webhook_longest_retry_s": 0.2, **settings}
    return dataclasses.replace(
        config,
        secret_key=KEYS,
        webhook_allow_http=True,
        webhook_allowed_networks=(ipaddress.ip_network(allowed),),
        **quick,
    )


def environ() -> dict[str, str]:
    """The same for a server that is a process."""
    return {
        "MODELKEEP_SECRET_KEY": ",".join(base64.b64encode(key).decode() for key in KEYS),
        "MODELKEEP_WEBHOOK_ALLOW_HTTP": "true",
        "MODELKEEP_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "MODELKEEP_WEBHOOK_FIRST_RETRY_S": "1",
        "MODELKEEP_WEBHOOK_LONGEST_RETRY_S": "1",
        "MODELKEEP_WEBHOOK_TIMEOUT_S": "2",
    }
