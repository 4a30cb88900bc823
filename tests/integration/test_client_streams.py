"""Pushes in several streams, against the real server."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support import cutting_proxy

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.client import upload_stream

MIB = 1024 * 1024
PART_BYTES = 16 * MIB
REF = "acme/voice@1.2.0"
SIZE_BYTES = 5 * PART_BYTES + 123


class Positions(client.Progress):
    """Keeps how far the file was, each time it was told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def file_moved(self, path: str, done_bytes: int) -> None:
        assert path
        self.told.append(done_bytes)


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(os.urandom(SIZE_BYTES))
    return path


async def require_same(endpoint: str, path: Path, tmp_path: Path) -> None:
    async with client.connect(endpoint) as registry:
        await registry.pull(REF, tmp_path / "copy")
    assert _same(tmp_path / "copy" / path.name, path)


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("streams", [1, 3, 20])
async def test_the_same_bytes_arrive_however_many_streams_there_are(
    endpoint: str, path: Path, tmp_path: Path, streams: int
) -> None:
    listener = Positions()
    async with client.connect(endpoint) as registry:
        pushed = await registry.push(path, REF, streams=streams, listener=listener)
    assert pushed.sent_bytes == SIZE_BYTES
    assert listener.told[-1] == max(listener.told) == SIZE_BYTES
    await require_same(endpoint, path, tmp_path)


async def test_a_cut_costs_each_stream_one_part_at_most(
    endpoint: str, path: Path, tmp_path: Path
) -> None:
    async with (
        cutting_proxy.running(endpoint) as proxy,
        client.connect(proxy.endpoint) as registry,
    ):
        proxy.cut_after(SIZE_BYTES // 2)
        pushed = await registry.push(path, REF, streams=2)
        assert proxy.cuts == 1
        assert SIZE_BYTES <= proxy.passed_bytes <= SIZE_BYTES + 2 * PART_BYTES + 2 * MIB
        assert pushed.sent_bytes <= SIZE_BYTES + 2 * PART_BYTES + 8 * MIB
    await require_same(endpoint, path, tmp_path)


@pytest.mark.parametrize(
    "failure",
    [
        client.Conflict("taken", reason="UPLOAD_PART_TAKEN"),
        client.Unavailable("cut", reason="CUT"),
    ],
    ids=["part-taken", "cut"],
)
async def test_a_stream_that_fails_asks_for_the_state_and_the_others_go_on(
    endpoint: str,
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: client.RegistryError,
) -> None:
    sent: Counter[int] = Counter()
    asked: Counter[str] = Counter()
    send, get_upload = upload_stream.send, client.Registry.get_upload

    async def failing(call: Any, name: str, content: Any, end: int, **rest: Any) -> None:
        sent[end] += 1
        if end == 2 * PART_BYTES and sent[end] == 1:
            await anext(content)
            call.cancel()
            raise failure
        await send(call, name, content, end, **rest)

    async def noting(self: client.Registry, name: str) -> client.Upload:
        asked[name] += 1
        return await get_upload(self, name)

    monkeypatch.setattr(upload_stream, "send", failing)
    monkeypatch.setattr(client.Registry, "get_upload", noting)
    async with client.connect(endpoint) as registry, asyncio.timeout(60):
        await registry.push(path, REF, streams=2)
    ends = [min(start + PART_BYTES, SIZE_BYTES) for start in range(0, SIZE_BYTES, PART_BYTES)]
    assert sent == Counter({end: 1 + (end == 2 * PART_BYTES) for end in ends})
    assert sum(asked.values()) >= 1
    await require_same(endpoint, path, tmp_path)


async def test_what_is_refused_ends_all_streams(
    endpoint: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(call: Any, *_what: Any, **_rest: Any) -> None:
        call.cancel()
        raise client.InvalidRequest("no", reason="NO")

    monkeypatch.setattr(upload_stream, "send", failing)
    async with client.connect(endpoint) as registry, asyncio.timeout(60):
        with pytest.raises(client.InvalidRequest):
            await registry.push(path, REF, streams=4)
