"""Packing into batches, and pushes and pulls of small files against a registry in memory."""

import hashlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import fake_registry

from modelkeep import client
from modelkeep.client import batching, records

REF = "acme/voice@1.2.0"
FILES = 25


@given(st.lists(st.integers(0, 100), max_size=200), st.integers(100, 400), st.integers(1, 20))
def test_batches_keep_the_limits_and_lose_nothing(
    sizes: list[int], batch_bytes: int, items: int
) -> None:
    limits = batching.Limits(100, batch_bytes, items)
    batches = list(batching.packed(sizes, lambda size: size, limits))
    assert [size for batch in batches for size in batch] == sizes
    assert all(0 < len(batch) <= items and sum(batch) <= batch_bytes for batch in batches)
    # None could have taken the first of the next one.
    for batch, following in itertools.pairwise(batches):
        assert len(batch) == items or sum(batch) + following[0] > batch_bytes


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), st.integers(0, 20))
def test_what_a_batch_takes_fits_into_one(
    item_bytes: int, batch_bytes: int, items: int, size: int
) -> None:
    limits = batching.Limits(item_bytes, batch_bytes, items)
    if limits.take(size):
        assert list(batching.packed([size], lambda each: each, limits)) == [[size]]
        assert size <= min(item_bytes, batch_bytes)
        assert items >= 1


def test_a_registry_that_states_no_limits_gets_no_batches() -> None:
    stated = {name: 1 for name in records.Capabilities.__dataclass_fields__ if "batch" not in name}
    limits = batching.Limits.of(records.Capabilities(**stated))
    assert not limits.take(0)


@pytest.fixture
async def fake() -> fake_registry.FakeRegistry:
    fake = fake_registry.FakeRegistry()
    fake.takes_batches = fake.states_batches = True
    return fake


@pytest.fixture
async def registry(fake: fake_registry.FakeRegistry) -> AsyncIterator[client.Registry]:
    server, endpoint = await fake_registry.start(fake)
    async with client.connect(endpoint, timeout_s=5) as connected:
        yield connected
    await server.stop(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "deep").mkdir(parents=True)
    for number in range(FILES):
        (root / "deep" / f"{number}").write_bytes(bytes([number]) * 300)
    (root / "empty").touch()
    (root / "twin").write_bytes(bytes(300))
    (root / "large").write_bytes(bytes(1025))
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


class Heard(client.Progress):
    def __init__(self) -> None:
        self.ended: list[str] = []

    def file_ended(self, path: str) -> None:
        self.ended.append(path)


async def test_small_files_go_and_come_in_batches(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    pushed = await registry.push(folder, REF)
    assert pushed.sent_bytes == fake.received_bytes == FILES * 300 + 1025
    # 13 of 300 bytes fit by size, 10 by number.
    assert fake.calls.count("BatchWriteBlobs") == 3
    assert fake.calls.count("StartUpload") == 1
    heard = Heard()
    pulled = await registry.pull(REF, tmp_path / "copy", listener=heard)
    assert contents(tmp_path / "copy") == contents(folder)
    assert fake.calls.count("BatchReadBlobs") == 3
    assert fake.calls.count("ReadBlob") == 1
    assert pulled.fetched_bytes == fake.served_bytes
    assert sorted(heard.ended) == sorted(contents(folder))


async def test_only_what_is_not_there_and_right_is_fetched(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    copy = tmp_path / "copy"
    await registry.pull(REF, copy)
    assert (await registry.pull(REF, copy)).fetched_bytes == 0
    (copy / "deep" / "3").write_bytes(b"x" * 300)
    (copy / "deep" / "4").unlink()
    fake.calls.clear()
    assert (await registry.pull(REF, copy)).fetched_bytes == 600
    assert contents(copy) == contents(folder)
    assert "ReadBlob" not in fake.calls


async def test_a_server_without_batches_is_used_as_before(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    fake.takes_batches = False
    pushed = await registry.push(folder, REF, files_at_once=1)
    assert pushed.sent_bytes == FILES * 300 + 1025
    await registry.pull(REF, tmp_path / "copy", files_at_once=1)
    assert contents(tmp_path / "copy") == contents(folder)
    # Asked once each, then no more.
    assert (fake.calls.count("BatchWriteBlobs"), fake.calls.count("BatchReadBlobs")) == (1, 1)
    assert fake.calls.count("StartUpload") == FILES + 2


async def test_what_a_batch_does_not_bring_home_goes_by_itself(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    refused = {f"sha256:{hashlib.sha256(bytes([n]) * 300).hexdigest()}" for n in (1, 7)}
    fake.faults.refuse_in_batches = refused
    await registry.push(folder, REF)
    assert fake.calls.count("StartUpload") == 3
    fake.faults.damage_batches = 1
    await registry.pull(REF, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)
    # The large one, the two refused ones and the one that arrived damaged.
    assert fake.calls.count("ReadBlob") in {4, 5}  # the damaged one may have a twin


async def test_bytes_of_another_digest_are_never_placed(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    digest = f"sha256:{hashlib.sha256(bytes([3]) * 300).hexdigest()}"
    fake.blobs[digest] = b"x" * 300
    with pytest.raises(client.DataLoss) as caught:
        await registry.pull(REF, tmp_path / "copy")
    assert (caught.value.reason, caught.value.metadata["path"]) == ("DIGEST_MISMATCH", "deep/3")
    assert not (tmp_path / "copy" / "deep" / "3").exists()


async def test_a_small_file_that_changes_under_a_push_is_named(
    registry: client.Registry,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = client.Registry.find_missing

    async def change(self: client.Registry, namespace: str, digests: list[str]) -> list[str]:
        (folder / "deep" / "5").write_bytes(b"other")
        return await found(self, namespace, digests)

    monkeypatch.setattr(client.Registry, "find_missing", change)
    with pytest.raises(client.FileChanged, match="deep/5"):
        await registry.push(folder, REF)


async def test_a_link_in_the_target_that_leads_out_is_refused(
    registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    (tmp_path / "copy").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copy" / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(client.BadTree, match="leads out"):
        await registry.pull(REF, tmp_path / "copy")
    assert list((tmp_path / "elsewhere").iterdir()) == []
