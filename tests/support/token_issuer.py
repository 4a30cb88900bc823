"""An issuer of tokens on the loopback, as honest or as broken as a test wants it."""

import base64
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from modelkeep.authn import issuers

AUDIENCE = "modelkeep"
Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class SigningKey:
    """A key pair with an id."""

    id: str
    private: Any
    algorithm: str

    @property
    def jwk(self) -> dict[str, Any]:
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        found = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**found, "kid": self.id, "alg": self.algorithm, "use": "sig"}

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def rsa_key(key_id: str = "rsa-1", bits: int = 2048) -> SigningKey:
    return SigningKey(key_id, rsa.generate_private_key(65537, bits), "RS256")


def ec_key(key_id: str = "ec-1") -> SigningKey:
    return SigningKey(key_id, ec.generate_private_key(ec.SECP256R1()), "ES256")


@dataclass
class TokenIssuer:
    """`keys` is what it lists; `asked` counts how often its keys were asked for."""

    url: str = ""
    keys: list[Any] = field(default_factory=list)
    asked: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    behaviour: Behaviour | None = None
    discovery: dict[str, Any] = field(default_factory=dict)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a good token; None leaves one out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600}
        return {key: value for key, value in (usual | changes).items() if value is not None}

    def token(self, key: SigningKey, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token signed by that key, with these claims changed."""
        return jwt.encode(
            self.claims(**claims),
            key.private,
            algorithm=key.algorithm,
            headers={"kid": key.id, **(header or {})},
        )

    def trusted(self, **settings: Any) -> issuers.Issuer:
        """How a server is told to trust it."""
        usual = {"issuer": self.url, "audience": (AUDIENCE,), "principal_prefix": "user:"}
        return issuers.Issuer(**usual | settings)

    async def tell_keys(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.behaviour is not None:
            return await self.behaviour(request)
        return web.json_response({"keys": self.keys})

    async def tell_where(self, request: web.Request) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        usual = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return web.json_response(usual | self.discovery)


def raw_token(header: Any, claims: Any, signature: bytes = b"x") -> str:
    """A token of any parts; text goes in as it is."""

    def part(value: Any) -> str:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}.{part(signature)}"


@contextlib.asynccontextmanager
async def running(
    *keys: SigningKey, tls: ssl.SSLContext | None = None
) -> AsyncIterator[TokenIssuer]:
    issuer = TokenIssuer(keys=[key.jwk for key in keys])
    app = web.Application()
    app.router.add_get("/keys", issuer.tell_keys)
    app.router.add_get("/.well-known/openid-configuration", issuer.tell_where)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "https" if tls else "http"
    issuer.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield issuer
    finally:
        await runner.cleanup()
