"""The blocking face of the SDK."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from support import fake_registry

from modelkeep import client


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A registry served from a loop in another thread, so that this one may block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve() -> tuple[grpc.aio.Server, str]:
        return await fake_registry.start(fake_registry.FakeRegistry())

    server, address = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    yield address
    asyncio.run_coroutine_threadsafe(server.stop(None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_push_list_read_and_pull(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x" * 200_000)
    with client.connect_sync(endpoint) as registry:
        pushed = registry.push(tmp_path / "model.bin", "acme/voice@1.0.0")
        assert pushed.sent_bytes == 200_000
        assert [version.version for version in registry.list_versions("acme/voice")] == ["1.0.0"]
        assert [file.path for file in registry.list_files("acme/voice@1.0.0")] == ["model.bin"]
        assert b"".join(registry.read_blob("acme/voice@1.0.0", "model.bin")) == b"x" * 200_000
        assert registry.pull("acme/voice", tmp_path / "copy").fetched_bytes == 200_000


def test_errors_are_the_same(endpoint: str) -> None:
    with (
        client.connect_sync(endpoint) as registry,
        pytest.raises(client.NotFound, match="acme/models/none"),
    ):
        registry.get_model("acme/none")


def test_nothing_is_left_running(endpoint: str) -> None:
    with client.connect_sync(endpoint) as registry:
        registry.capabilities()
    assert not [t for t in threading.enumerate() if t.name == "modelkeep-sync"]
