"""A push that meets a quota, and the operator who sets it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelkeep import app, client
from modelkeep import config as configuration

MIB = 1024 * 1024
BLOCKER = "sha256:" + "0" * 64


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


@pytest.fixture
async def registry(endpoint: str) -> AsyncIterator[client.Registry]:
    async with client.connect(endpoint) as connected:
        await connected.create_namespace("acme")
        yield connected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    (root / "weights.bin").write_bytes(os.urandom(MIB))
    (root / "config.json").write_text("{}")
    return root


class Ear(client.Progress):
    """Hears that the push waits."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.notes: list[str] = []

    def noted(self, message: str) -> None:
        self.notes.append(message)
        self.heard.set()


async def test_a_push_waits_until_one_more_upload_may_be_open(
    registry: client.Registry, folder: Path
) -> None:
    blocking = await registry.start_upload("acme", BLOCKER, 5)
    await registry.set_quotas("acme", open_uploads=1)
    ear = Ear()
    pushing = asyncio.create_task(registry.push(folder, "acme/voice@1.0.0", listener=ear))
    async with asyncio.timeout(30):
        await ear.heard.wait()
        assert not pushing.done()
        await registry.abort_upload(blocking.name)
        pushed = await pushing
    assert pushed.version.state is client.VersionState.READY
    assert ear.notes[0].startswith("Waiting: acme may have 1 uploads open at a time")


async def test_a_push_that_waits_in_vain_gives_up_after_its_patience(
    registry: client.Registry, folder: Path
) -> None:
    await registry.start_upload("acme", BLOCKER, 5)
    await registry.set_quotas("acme", open_uploads=1)
    with pytest.raises(client.LimitReached) as error:
        await registry.push(folder, "acme/voice@1.0.0", stall_s=0.5)
    assert error.value.quota == "open_uploads"
    assert error.value.retry_after_s > 0


@pytest.mark.parametrize("small", [False, True])
async def test_a_push_beyond_the_bytes_fails_at_once_and_says_what_to_do(
    registry: client.Registry, folder: Path, *, small: bool
) -> None:
    if small:
        (folder / "weights.bin").unlink()
    await registry.set_quotas("acme", stored_bytes=1)
    with pytest.raises(client.LimitReached, match="modelkeep gc acme") as error:
        async with asyncio.timeout(50):  # its patience would be a minute
            await registry.push(folder, "acme/voice@1.0.0")
    assert (error.value.reason, error.value.quota) == ("QUOTA_EXCEEDED", "stored_bytes")
    assert (await registry.namespace_usage("acme")).open_uploads == 0
    await registry.set_quotas("acme", stored_bytes=0)
    await registry.push(folder, "acme/voice@1.0.0")


async def run(endpoint: str, *words: str) -> tuple[int, str, str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "MODELKEEP_ENDPOINT": endpoint},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_an_operator_shows_sets_and_lifts_quotas(
    endpoint: str, registry: client.Registry, folder: Path
) -> None:
    await registry.push(folder, "acme/voice@1.0.0")
    limits = ("--stored", "4MiB", "--logical", "2TiB", "--open-uploads", "64")
    code, out, err = await run(endpoint, "quota", "set", "acme", *limits)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "QUOTA       USED    LIMIT  FULL",
        "stored   1.0 MiB  4.0 MiB  25 %",
        "logical  1.0 MiB  2.0 TiB   0 %",
        "uploads        0       64   0 %",
    ]
    code, out, _ = await run(endpoint, "quota", "set", "acme", "--logical", "none", "-o", "json")
    assert (code, json.loads(out)["logical_bytes_quota"]) == (0, 0)
    code, out, err = await run(endpoint, "quota", "recount", "acme", "-o", "json")
    assert (code, json.loads(out)["differed"], err) == (0, False, "the counters were right\n")
    assert (await run(endpoint, "quota", "show", "nowhere"))[0] == 3
    code, _, err = await run(endpoint, "quota", "set", "acme", "--stored", "lots")
    assert (code, "write 500GiB, 2TiB or none" in err) == (2, True)
    assert (await run(endpoint, "quota", "set", "acme"))[0] == 2
