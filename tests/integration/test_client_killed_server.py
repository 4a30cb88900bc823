"""A server that is killed in the middle of an upload, and comes back."""

import asyncio
import hashlib
import os
import socket
from pathlib import Path

import pytest
from support import cutting_proxy, server_process

from modelkeep import client
from modelkeep import config as configuration

MIB = 1024 * 1024
REF = "acme/voice@1.2.0"
LARGE_BYTES = 48 * MIB
PART_BYTES = 16 * MIB


class Notes(client.Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def noted(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def listen() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def durable(registry: client.Registry, content: bytes, at_least_bytes: int) -> None:
    """Wait until so much of the content's upload is durable; nobody signals that."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    async with asyncio.timeout(30):
        while True:
            upload = await registry.start_upload("acme", digest, len(content))
            if sum(end - start for start, end in upload.persisted_ranges) >= at_least_bytes:
                return
            await asyncio.sleep(0.02)


async def test_a_push_outlives_the_server_it_began_with(
    config: configuration.Config, listen: str, tmp_path: Path
) -> None:
    content = os.urandom(LARGE_BYTES)
    (tmp_path / "model.bin").write_bytes(content)
    listener = Notes()
    async with (
        cutting_proxy.running(listen) as proxy,
        client.connect(proxy.endpoint) as registry,
        client.connect(listen) as beside,
    ):
        async with server_process.serving(config, listen) as (process, _):
            # The line holds in the middle of the second part, so the first one gets durable.
            proxy.hold_after(24 * MIB)
            push = asyncio.create_task(
                registry.push(tmp_path / "model.bin", REF, listener=listener)
            )
            await proxy.held.wait()
            await durable(beside, content, PART_BYTES)
            process.kill()
        proxy.passed_bytes = 0
        async with server_process.serving(config, listen):
            pushed = await push
            assert listener.notes
            assert pushed.version.state is client.VersionState.READY
            assert 0 <= proxy.passed_bytes - (LARGE_BYTES - PART_BYTES) < MIB
            await beside.pull(REF, tmp_path / "copy")
    assert (tmp_path / "copy" / "model.bin").read_bytes() == content
