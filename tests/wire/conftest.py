"""A real server in this process, on a free port, over the session's Postgres and S3."""

from collections.abc import AsyncIterator

import grpc
import pytest
from support import wire

from modelkeep import app
from modelkeep import config as configuration


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    """`host:port` of the test's own server."""
    async with app.running(config) as address:
        yield address


@pytest.fixture
async def stubs(endpoint: str) -> AsyncIterator[wire.Stubs]:
    """Stubs of every service of the test's own server."""
    async with grpc.aio.insecure_channel(endpoint) as channel:
        yield wire.Stubs.over(channel)
