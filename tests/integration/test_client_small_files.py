"""Many small files through the SDK against the real server: how many calls, how many bytes."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.transport import interceptors

KIB = 1024
REF = "acme/voice@1.2.0"
FILES, TINY = 100, 600
TOTAL_BYTES = FILES * 64 * KIB + TINY * 4


@pytest.fixture
async def registry(config: configuration.Config) -> AsyncIterator[client.Registry]:
    async with app.running(config) as address, client.connect(address) as connected:
        yield connected


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each RPC was answered, by its name and status."""
    counted: Counter[str] = Counter()
    original = interceptors.Scope._tell

    def count(self: interceptors.Scope, line: dict[str, str], *rest: Any) -> None:
        counted[line["method"]] += 1
        original(self, line, *rest)

    monkeypatch.setattr(interceptors.Scope, "_tell", count)
    return counted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    for number in range(FILES):
        (root / f"{number}.bin").write_bytes(os.urandom(64 * KIB))
    for number in range(TINY):
        (root / f"{number}.txt").write_bytes(number.to_bytes(4, "big"))
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


async def test_small_files_cost_a_few_calls_both_ways(
    registry: client.Registry, calls: Counter[str], folder: Path, tmp_path: Path
) -> None:
    pushed = await registry.push(folder, REF)
    assert (pushed.files, pushed.sent_bytes) == (FILES + TINY, TOTAL_BYTES)
    # By path, so tiny ones lie among the 100 of 64 KiB; 2 MiB take 31 of these and many of those.
    assert calls["BatchWriteBlobs"] == 4
    assert calls["StartUpload"] == calls["WriteUpload"] == 0
    assert sum(calls.values()) <= 4 + 8
    calls.clear()
    pulled = await registry.pull(REF, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)
    assert pulled.fetched_bytes == pulled.total_bytes == TOTAL_BYTES
    assert calls["ReadBlob"] == 0
    assert calls["BatchReadBlobs"] <= 6
    # Again, in part: what is there and right is not fetched.
    (tmp_path / "copy" / "7.bin").write_bytes(b"spoilt")
    again = await registry.pull(REF, tmp_path / "copy")
    assert again.fetched_bytes == 64 * KIB
    assert contents(tmp_path / "copy") == contents(folder)


async def test_a_push_of_what_is_there_sends_no_batch(
    registry: client.Registry, calls: Counter[str], folder: Path
) -> None:
    await registry.push(folder, REF)
    (folder / "one more").write_bytes(b"new")
    calls.clear()
    again = await registry.push(folder, "acme/voice@1.3.0")
    assert again.sent_bytes == 3
    assert calls["BatchWriteBlobs"] == 1


async def test_the_calls_can_be_made_by_hand(registry: client.Registry) -> None:
    await registry.create_namespace("acme")
    one = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    (right, wrong) = await registry.write_blobs("acme", [(one, b"one"), (one, b"two")])
    assert (right.is_ok, wrong.is_ok) == (True, False)
    assert (wrong.code, wrong.reason) == ("DATA_LOSS", "DIGEST_MISMATCH")
    none = "sha256:" + "0" * 64
    found, lacking = await registry.read_blobs("acme", [one, none])
    assert (found.content, lacking.code) == (b"one", "NOT_FOUND")
