"""A server that lets nobody in without credentials, and those who are to get in."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from support import wire

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.client import bearing
from modelkeep.service import access
from modelkeep.v1 import access_service_pb2 as pb

REGISTRY = "namespaces/_registry"
OWNER = "user:owner"


@dataclasses.dataclass
class Closed:
    """A closed server, and its administrator `user:owner`.

    Attributes:
        endpoint: its `host:port`.
        admin: stubs of the administrator.
        admin_token: their token.
    """

    endpoint: str
    channel: grpc.aio.Channel
    admin_token: str
    admin: wire.Stubs
    deciding: access.Access

    def with_token(self, text: str) -> wire.Stubs:
        """Stubs that present this with each call; '' for nothing."""
        if not text:
            return wire.Stubs.over(self.channel)
        return wire.Stubs.over(bearing.BearingChannel(self.channel, lambda: f"Bearer {text}"))

    async def token(self, principal: str = OWNER, **fields: Any) -> pb.CreateTokenResponse:
        """A new token of somebody, by the administrator."""
        token = pb.Token(principal=principal, **fields)
        return await self.admin.access.CreateToken(pb.CreateTokenRequest(token=token))

    async def grant(self, principal: str, role: int, resource: str = "", **limit: str) -> str:
        """Give a role; name of the binding."""
        grant = pb.Grant(role=role, resource=resource, **limit)  # type: ignore[arg-type]
        binding = pb.RoleBinding(principal=principal, grant=grant)
        request = pb.CreateRoleBindingRequest(binding=binding)
        made = await self.admin.access.CreateRoleBinding(request)
        return str(made.binding.name)

    async def flush(self) -> None:
        """Have the server write down which tokens were used."""
        await self.deciding.tokens.flush()

    async def somebody(self, principal: str, *given: tuple[Any, ...]) -> wire.Stubs:
        """Stubs of somebody who was given (role, resource) each."""
        for role, *rest in given:
            await self.grant(principal, role, *rest)
        return self.with_token((await self.token(principal)).text)


@contextlib.asynccontextmanager
async def running(config: configuration.Config) -> AsyncIterator[Closed]:
    """A closed server with this configuration."""
    token = await app.make_admin(config.database_url, OWNER, break_glass=False)
    shut = dataclasses.replace(config, anonymous_role="")
    kept: list[access.Access] = []
    with pytest.MonkeyPatch.context() as patch:
        make = app._open_access
        patch.setattr(app, "_open_access", lambda *of: kept.append(make(*of)) or kept[0])
        async with app.running(shut) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
            borne = bearing.BearingChannel(channel, lambda: f"Bearer {token}")
            yield Closed(endpoint, channel, token, wire.Stubs.over(borne), kept[0])
