"""Reading, choosing and verifying files with the SDK and the command line, on a real server."""

import asyncio
import functools
import json
import os
import struct
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support import cutting_proxy, rotting, services

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.service import scrub

MIB = 1024 * 1024
PART = 16 * MIB
REF = "acme/voice@1.2.0"
HEADER = json.dumps({"w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
QUARANTINED = client.VersionState.QUARANTINED
LARGE_BYTES = 20 * MIB + 7


@pytest.fixture
async def endpoint(
    config: configuration.Config, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """A server whose scrub looks often; what it takes is what somebody met."""
    eager = functools.partial(scrub.Settings, idle_s=0.05)
    monkeypatch.setattr(scrub, "Settings", eager)
    async with app.running(config) as address:
        yield address


@pytest.fixture
async def registry(endpoint: str) -> AsyncIterator[client.Registry]:
    async with client.connect(endpoint) as connected:
        yield connected


@pytest.fixture
async def folder(registry: client.Registry, tmp_path: Path) -> Path:
    """A folder that is pushed as `REF`."""
    root = tmp_path / "model"
    (root / "onnx").mkdir(parents=True)
    head = struct.pack("<Q", len(HEADER)) + HEADER
    (root / "model.safetensors").write_bytes(head + os.urandom(LARGE_BYTES - len(head)))
    (root / "onnx" / "small.onnx").write_bytes(b"onnx")
    (root / "config.json").write_text("{}")
    (root / "empty").touch()
    await registry.push(root, REF)
    return root


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


async def start(endpoint: str, *words: str) -> asyncio.subprocess.Process:
    environ = services.clean_environ(MODELKEEP_ENDPOINT=endpoint)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )


async def run(endpoint: str, *words: str) -> tuple[int, bytes, str]:
    process = await start(endpoint, *words)
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout, stderr.decode()


@pytest.mark.usefixtures("folder")
async def test_a_header_is_read_without_the_tensor(registry: client.Registry) -> None:
    size = await registry.read_file(REF, "model.safetensors", length=8)
    length = struct.unpack("<Q", size)[0]
    header = await registry.read_file("acme/voice", "model.safetensors", offset=8, length=length)
    assert header == HEADER
    assert await registry.read_file(REF, "empty") == b""
    with pytest.raises(client.NotFound):
        await registry.read_file(REF, "nothing")
    with pytest.raises(client.InvalidRequest, match="beyond the end"):
        await registry.read_file(REF, "config.json", offset=3)


async def test_cat_writes_exactly_the_bytes(endpoint: str, folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    assert await run(endpoint, "cat", REF, "model.safetensors") == (0, whole, "")
    some = await run(endpoint, "cat", REF, "model.safetensors", "--offset", "100", "--length", "5")
    assert some == (0, whole[100:105], "")
    assert await run(endpoint, "cat", REF, "empty") == (0, b"", "")
    code, out, told = await run(endpoint, "cat", REF, "nothing")
    assert (code, out) == (3, b"")
    assert "nothing" in told
    assert (await run(endpoint, "cat", REF, "config.json", "--offset", "3"))[0] == 2


@pytest.mark.usefixtures("folder")
async def test_cat_into_a_pipe_that_closes_is_quiet(endpoint: str) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m modelkeep cat {REF} model.safetensors | head -c 8 | wc -c",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=services.clean_environ(MODELKEEP_ENDPOINT=endpoint),
    )
    stdout, stderr = await process.communicate()
    assert (stdout.strip(), stderr) == (b"8", b"")


async def test_cat_goes_on_over_a_line_that_breaks(endpoint: str, folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    async with cutting_proxy.running(endpoint) as proxy:
        proxy.cut_after(3 * MIB)
        assert await run(proxy.endpoint, "cat", REF, "model.safetensors") == (0, whole, "")
        assert proxy.cuts == 1


@pytest.mark.usefixtures("folder")
async def test_only_what_is_wanted_is_pulled(
    endpoint: str, registry: client.Registry, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    pulled = await registry.pull(REF, there, include=["*.onnx", "*.json"], exclude=["/config.*"])
    assert contents(there) == {"onnx/small.onnx": b"onnx"}
    assert (pulled.files, pulled.left_out, pulled.total_bytes) == (1, 3, 4)
    code, out, _ = await run(endpoint, "pull", REF, str(there), "--exclude", "*.safetensors")
    assert code == 0
    assert b"verified in part: 3 files" in out
    assert b"1 file left out" in out
    assert sorted(contents(there)) == ["config.json", "empty", "onnx/small.onnx"]
    code, _, told = await run(endpoint, "pull", REF, str(there), "--include", "*.gguf")
    assert code == 3
    assert "None of the 4 files" in told
    assert (await run(endpoint, "pull", REF, str(there), "--include", "["))[0] == 2


@pytest.fixture
def damage(s3: services.S3, bucket: str) -> Callable[[bytes, int], str]:
    """Changes one bit of the object that has a content."""
    return functools.partial(rotting.overwrite, s3, bucket)


async def test_a_damaged_file_is_refused_by_all(
    endpoint: str, registry: client.Registry, folder: Path, damage: Callable[[bytes, int], str]
) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    damage(whole, PART + 3)
    there = folder.parent / "there"
    with pytest.raises(client.DataLoss) as caught:
        await registry.pull(REF, there)
    assert caught.value.reason == "BLOB_DAMAGED_IN_STORE"
    assert (caught.value.metadata["path"], caught.value.metadata["offset"]) == (
        "model.safetensors",
        str(PART),
    )
    assert not (there / "model.safetensors").exists()
    code, out, told = await run(endpoint, "cat", REF, "model.safetensors")
    assert code == 1
    assert out[:PART] == whole[:PART]
    assert PART <= len(out) < len(whole)
    assert "model.safetensors of acme/voice@1.2.0 cannot be trusted" in told
    assert "bytes 16,777,216 to 20,971,527 are damaged" in told
    code, out, told = await run(endpoint, "verify", REF)
    assert code == 1
    assert b"corrupt" in out
    assert "1 of 4 files of acme/voice@1.2.0" in told
    found = [check async for check in registry.verify_version(REF) if not check.is_ok]
    assert [(check.path, check.verdict) for check in found] == [
        ("model.safetensors", client.FileVerdict.CORRUPT)
    ]


@pytest.mark.usefixtures("folder")
async def test_verify_shows_what_was_proven(endpoint: str) -> None:
    code, out, _ = await run(endpoint, "verify", "acme/voice")
    assert code == 2  # it names no version
    code, out, told = await run(endpoint, "verify", REF, "-o", "json")
    assert code == 0, told
    document = json.loads(out)
    assert (document["version"], document["ok"]) == ("1.2.0", True)
    assert {file["verdict"] for file in document["files"]} == {"ok"}
    code, out, _ = await run(endpoint, "verify", "acme/voice@latest")
    assert b"4 files, 20.0 MiB, every byte as it was pushed" in out


@pytest.mark.usefixtures("folder")
async def test_the_blocking_registry_reads_and_verifies(endpoint: str) -> None:
    def use() -> None:
        with client.connect_sync(endpoint) as registry:
            assert registry.read_file(REF, "onnx/small.onnx", offset=1, length=2) == b"nn"
            assert b"".join(registry.stream_file(REF, "config.json")) == b"{}"
            assert [check.is_ok for check in registry.verify_version(REF)] == [True] * 4

    await asyncio.to_thread(use)


async def test_pushing_the_same_files_again_repairs_a_version_that_was_set_aside(
    registry: client.Registry, folder: Path, damage: Callable[[bytes, int], str]
) -> None:
    damage((folder / "model.safetensors").read_bytes(), 5)
    with pytest.raises(client.DataLoss):
        await registry.read_file(REF, "model.safetensors")
    async with asyncio.timeout(30):
        while (await registry.get_version(REF)).state is not QUARANTINED:  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.05)
    pushed = await registry.push(folder, REF)
    assert (pushed.is_new, pushed.sent_bytes) == (False, LARGE_BYTES)
    assert all([check.is_ok async for check in registry.verify_version(REF)])
    with pytest.raises(client.Refused, match="set aside"):
        await registry.push(folder, REF)
