"""Push and pull straight to and from the store, past a real server."""

import dataclasses
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import pushing, services

from modelkeep import app, client
from modelkeep import config as configuration

MIB = 1 << 20
PART = 16 * MIB
SIZE = 3 * PART + 7


@pytest.fixture
def config(config: configuration.Config) -> configuration.Config:
    return dataclasses.replace(
        config,
        s3_public_endpoint=configuration.HostAndPort(config.s3_endpoint),
        s3_public_secure=False,
    )


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


@pytest.fixture
async def registry(endpoint: str) -> AsyncIterator[client.Registry]:
    async with client.connect(endpoint) as connected:
        yield connected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    pushing.random_file(root / "large.bin", SIZE)
    pushing.random_file(root / "middle.bin", 2 * MIB)
    pushing.random_file(root / "small.bin", 100)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(one.relative_to(root)): one.read_bytes() for one in root.rglob("*")}


@pytest.mark.parametrize(
    ("via", "direct_bytes"),
    [("store", SIZE + 2 * MIB), ("auto", SIZE), ("server", 0)],
)
async def test_bytes_are_the_same_whichever_way_they_go(
    registry: client.Registry, folder: Path, tmp_path: Path, via: str, direct_bytes: int
) -> None:
    way = client.Via(via)
    pushed = await registry.push(folder, "acme/voice@1.0.0", via=way)
    assert pushed.direct_bytes == direct_bytes
    assert pushed.sent_bytes == pushed.total_bytes == SIZE + 2 * MIB + 100
    pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=way)
    assert pulled.direct_bytes == direct_bytes
    assert pulled.fetched_bytes == pulled.total_bytes
    assert contents(tmp_path / "copy") == contents(folder)
    again = await registry.push(folder, "acme/voice@1.1.0", via=way)
    assert again.sent_bytes == 0
