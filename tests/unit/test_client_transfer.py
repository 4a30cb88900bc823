"""Push and pull against a registry in memory that misbehaves on demand."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from support import fake_registry

from modelkeep import client
from modelkeep.v1 import registry_service_pb2 as pb

MIB = 1024 * 1024
REF = "acme/voice@1.2.0"
LARGE = 5 * fake_registry.PART_BYTES + 1000


class Notes(client.Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.positions: dict[str, int] = {}
        self.ended: list[str] = []

    def noted(self, text: str) -> None:
        self.notes.append(text)

    def file_moved(self, path: str, done_bytes: int) -> None:
        self.positions[path] = done_bytes

    def file_ended(self, path: str) -> None:
        self.ended.append(path)


@pytest.fixture
async def fake() -> fake_registry.FakeRegistry:
    return fake_registry.FakeRegistry()


@pytest.fixture
async def registry(fake: fake_registry.FakeRegistry) -> AsyncIterator[client.Registry]:
    server, endpoint = await fake_registry.start(fake)
    async with client.connect(endpoint, timeout_s=5) as connected:
        yield connected
    await server.stop(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "large.onnx").write_bytes(os.urandom(LARGE))
    (root / "config.json").write_text("{}")
    (root / "empty").touch()
    (root / ".hidden").write_text("seen")
    (root / "deep" / "er" / "twin").write_text("{}")
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "junk").write_text("skipped")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


async def test_a_folder_is_pushed_and_comes_back_the_same(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    listener = Notes()
    pushed = await registry.push(folder, REF, listener=listener)
    assert pushed.is_new
    assert pushed.files == 5
    assert pushed.total_bytes == LARGE + 2 + 4 + 2
    # The twins have one content, so it is sent once.
    assert pushed.sent_bytes == fake.received_bytes == LARGE + 2 + 4
    assert listener.positions["large.onnx"] == LARGE
    pulled = await registry.pull("acme/voice@latest", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)
    assert pulled.fetched_bytes == pushed.total_bytes


async def test_the_manifest_is_the_one_the_contract_defines(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    pushed = await registry.push(folder, REF)
    lines = [
        f"{hashlib.sha256(content).hexdigest()}  {len(content)}  {path}\n"
        for path, content in sorted(contents(folder).items(), key=lambda entry: entry[0].encode())
    ]
    text = "modelkeep-manifest-v1\n" + "".join(lines)
    assert pushed.version.manifest_digest == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    types = {file.path: file.media_type for file in fake.files[pushed.version.name]}
    assert types["large.onnx"] == "application/vnd.onnx"
    assert types["config.json"] == "application/json"
    assert types["empty"] == "application/octet-stream"


async def test_pushing_again_sends_nothing_and_says_so(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    await registry.push(folder, REF)
    received = fake.received_bytes
    again = await registry.push(folder, REF)
    assert not again.is_new
    assert again.sent_bytes == 0
    assert fake.received_bytes == received


async def test_other_content_for_a_sealed_version_is_refused(
    registry: client.Registry, folder: Path
) -> None:
    await registry.push(folder, REF)
    (folder / "config.json").write_text("{ }")
    with pytest.raises(client.Refused, match="other content") as refused:
        await registry.push(folder, REF)
    assert refused.value.reason == "VERSION_EXISTS"


async def test_a_draft_left_behind_gets_this_pushs_description(
    registry: client.Registry, folder: Path
) -> None:
    await registry.create_namespace("acme")
    await registry.create_model("acme/voice")
    left = client.Draft(metrics={"auc": 0.1}, labels={"team": "old"})
    await registry.create_version(REF, left)
    said = client.Draft(metrics={"auc": 0.9}, labels={"team": "new"}, description="better")
    pushed = await registry.push(folder, REF, said)
    assert pushed.is_new
    assert dict(pushed.version.metrics) == {"auc": 0.9}
    assert dict(pushed.version.labels) == {"team": "new"}
    assert pushed.version.description == "better"


async def test_a_cut_upload_goes_on_and_resends_nothing_durable(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    two_parts_and_a_bit = 2 * fake_registry.PART_BYTES + fake_registry.CHUNK_BYTES
    # The largest file is sent first, so its streams are the ones that are cut.
    fake.faults.cut_writes_after = [two_parts_and_a_bit, two_parts_and_a_bit]
    listener = Notes()
    pushed = await registry.push(folder, REF, files_at_once=1, listener=listener)
    # Each cut loses the chunk that was behind the last whole part, and what was on its way.
    assert LARGE + 6 < fake.received_bytes <= LARGE + 6 + 2 * fake_registry.CHUNK_BYTES
    assert pushed.sent_bytes >= fake.received_bytes
    assert any("draining" in note for note in listener.notes)


async def test_a_push_cut_for_good_is_continued_by_the_next_one(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    fake.faults.cut_writes_after = [3 * fake_registry.PART_BYTES, *[0] * 50]
    with pytest.raises(client.Unavailable):
        await registry.push(folder, REF, files_at_once=1, stall_s=0.3)
    fake.faults.cut_writes_after = []
    before = fake.received_bytes
    await registry.push(folder, REF, files_at_once=1)
    durable = 3 * fake_registry.PART_BYTES
    assert fake.received_bytes - before == LARGE + 6 - durable


async def test_a_server_that_takes_nothing_is_left_and_tried_again(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    fake.faults.stall_writes = 1
    listener = Notes()
    pushed = await registry.push(folder, REF, files_at_once=1, stall_s=0.5, listener=listener)
    assert pushed.is_new
    assert any("0.5 seconds" in note for note in listener.notes)


async def test_a_chunk_damaged_on_its_way_is_sent_again(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    fake.faults.refuse_chunks = 1
    assert (await registry.push(folder, REF, files_at_once=1)).is_new


async def test_a_file_that_changes_while_it_is_pushed_is_named(
    registry: client.Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = client.Registry.start_upload

    async def change_first(
        self: client.Registry, namespace: str, digest: str, size_bytes: int
    ) -> client.Upload:
        (folder / "large.onnx").write_bytes(os.urandom(LARGE))
        return await sending(self, namespace, digest, size_bytes)

    monkeypatch.setattr(client.Registry, "start_upload", change_first)
    with pytest.raises(client.FileChanged, match=r"large\.onnx changed"):
        await registry.push(folder, REF, files_at_once=1)


async def test_a_file_that_shrinks_while_it_is_pushed_is_named(
    registry: client.Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = client.Registry.start_upload

    async def shrink_first(
        self: client.Registry, namespace: str, digest: str, size_bytes: int
    ) -> client.Upload:
        os.truncate(folder / "large.onnx", 10)
        return await sending(self, namespace, digest, size_bytes)

    monkeypatch.setattr(client.Registry, "start_upload", shrink_first)
    with pytest.raises(client.FileChanged, match=r"large\.onnx changed"):
        await registry.push(folder, REF, files_at_once=1)


async def test_two_pushes_of_one_version_end_in_one_winner(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    fake.faults.before_finalize = list(gates)
    first = asyncio.create_task(registry.push(folder, REF, client.Draft(description="first")))
    await fake.reached("FinalizeVersion", 1)
    second = asyncio.create_task(registry.push(folder, REF, client.Draft(description="second")))
    await fake.reached("FinalizeVersion", 2)
    gates[0].set()
    with pytest.raises(client.Conflict, match="Another push") as lost:
        await first
    assert lost.value.reason == "CONCURRENT_PUSH"
    gates[1].set()
    assert (await second).version.description == "second"


async def test_losing_to_the_same_content_is_success(
    registry: client.Registry,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finalize = client.Registry.finalize_version

    async def be_late(
        self: client.Registry, version: str, files: Sequence[client.File], *, etag: str = ""
    ) -> client.Version:
        await finalize(self, version, files)
        return await finalize(self, version, files, etag=etag)

    monkeypatch.setattr(client.Registry, "finalize_version", be_late)
    listener = Notes()
    pushed = await registry.push(folder, REF, listener=listener)
    assert pushed.version.state is client.VersionState.READY
    assert not pushed.is_new
    assert any("Another push sealed" in note for note in listener.notes)


async def test_a_model_of_another_kind_is_refused_before_anything_is_sent(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    await registry.create_namespace("acme")
    await registry.create_model("acme/voice", kind=client.ModelKind.ADAPTER)
    with pytest.raises(client.Refused, match="kind adapter"):
        await registry.push(folder, REF, kind=client.ModelKind.PIPELINE)
    assert fake.received_bytes == 0
    assert (await registry.push(folder, REF)).is_new


async def test_short_unavailability_is_not_noticed(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path
) -> None:
    fake.faults.unavailable = 2
    assert (await registry.push(folder, REF)).is_new


async def test_a_cut_pull_goes_on_from_the_bytes_it_has(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    fake.faults.cut_reads_after = [2 * fake_registry.CHUNK_BYTES]
    copy = tmp_path / "copy"
    pulled = await registry.pull(REF, copy, files_at_once=1)
    assert contents(copy) == contents(folder)
    assert fake.served_bytes == pulled.fetched_bytes == pulled.total_bytes


async def test_a_pull_cut_at_every_mebibyte_brings_each_byte_once(
    registry: client.Registry, fake: fake_registry.FakeRegistry, tmp_path: Path
) -> None:
    content = os.urandom(5 * MIB + 17)
    (tmp_path / "large.onnx").write_bytes(content)
    await registry.push(tmp_path / "large.onnx", REF)
    fake.faults.cut_reads_after = [MIB] * 5
    copy = tmp_path / "copy"
    pulled = await registry.pull(REF, copy)
    assert contents(copy) == {"large.onnx": content}
    assert fake.calls.count("ReadBlob") == 6
    assert fake.served_bytes == pulled.fetched_bytes == len(content)


async def test_a_pull_cut_for_good_is_continued_by_the_next_one(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    copy = tmp_path / "copy"
    fake.faults.cut_reads_after = [10**9] * 3 + [3 * fake_registry.CHUNK_BYTES] + [0] * 50
    with pytest.raises(client.Unavailable):
        await registry.pull(REF, copy, files_at_once=1, stall_s=0.3)
    assert len(list(copy.rglob("*.part"))) == 1
    fake.faults.cut_reads_after = []
    before = fake.served_bytes
    again = await registry.pull(REF, copy, files_at_once=1)
    assert contents(copy) == contents(folder)
    assert again.fetched_bytes == fake.served_bytes - before <= LARGE - 3 * 65536


async def test_a_part_file_with_other_bytes_is_fetched_from_the_start(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    pushed = await registry.push(folder, REF)
    copy = tmp_path / "copy"
    copy.mkdir()
    digest = next(
        file.digest for file in fake.files[pushed.version.name] if file.path == "large.onnx"
    )
    (copy / f"large.onnx.{digest[7:19]}.part").write_bytes(b"x" * 100)
    await registry.pull(REF, copy)
    assert contents(copy) == contents(folder)


async def test_what_is_there_and_right_is_not_fetched(
    registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    copy = tmp_path / "copy"
    await registry.pull(REF, copy)
    (copy / "config.json").write_text("[]")
    again = await registry.pull(REF, copy)
    assert again.fetched_bytes == 2
    assert contents(copy) == contents(folder)


async def test_two_pulls_into_one_folder_do_not_spoil_each_other(
    registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    copy = tmp_path / "copy"
    ends = await asyncio.gather(
        registry.pull(REF, copy), registry.pull(REF, copy), return_exceptions=True
    )
    assert all(isinstance(end, client.PullResult | client.Conflict) for end in ends), ends
    assert any(isinstance(end, client.PullResult) for end in ends)
    await registry.pull(REF, copy)
    assert contents(copy) == contents(folder)


async def test_a_damaged_chunk_is_read_again(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    fake.faults.damage_read_chunks = 1
    await registry.pull(REF, tmp_path / "copy", files_at_once=1)
    assert contents(tmp_path / "copy") == contents(folder)


async def test_wrong_bytes_never_get_the_files_name(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    pushed = await registry.push(folder, REF)
    large = next(f for f in fake.files[pushed.version.name] if f.path == "large.onnx")
    fake.blobs[large.digest] = os.urandom(LARGE)
    with pytest.raises(client.DataLoss, match="instead of"):
        await registry.pull(REF, tmp_path / "copy")
    assert not (tmp_path / "copy" / "large.onnx").exists()
    assert not list((tmp_path / "copy").rglob("large*"))


async def test_a_list_of_files_that_was_changed_is_refused(
    registry: client.Registry, fake: fake_registry.FakeRegistry, folder: Path, tmp_path: Path
) -> None:
    pushed = await registry.push(folder, REF)
    fake.files[pushed.version.name].pop()
    with pytest.raises(client.DataLoss, match="list of files"):
        await registry.pull(REF, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", "a\\x", "a\x1bx", "a//x", "./x", "", "x" * 1025]
)
async def test_a_hostile_path_is_refused_and_nothing_written(
    registry: client.Registry,
    fake: fake_registry.FakeRegistry,
    folder: Path,
    tmp_path: Path,
    path: str,
) -> None:
    await registry.push(folder, REF)
    fake.faults.hostile_files = [pb.File(path=path, digest=f"sha256:{'0' * 64}", size_bytes=1)]
    with pytest.raises(client.BadTree):
        await registry.pull(REF, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("names", [("a", "A"), ("a", "a/b"), ("é", "e\u0301")])
async def test_paths_that_clash_are_refused(
    registry: client.Registry,
    fake: fake_registry.FakeRegistry,
    folder: Path,
    tmp_path: Path,
    names: tuple[str, str],
) -> None:
    await registry.push(folder, REF)
    fake.faults.hostile_files = [
        pb.File(path=name, digest=f"sha256:{'0' * 64}", size_bytes=1) for name in names
    ]
    with pytest.raises(client.BadTree):
        await registry.pull(REF, tmp_path / "copy")


async def test_a_link_in_the_directory_never_leads_out_of_it(
    registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    outside = tmp_path / "outside"
    outside.mkdir()
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "deep").symlink_to(outside)
    with pytest.raises(client.BadTree, match="leads out"):
        await registry.pull(REF, copy)
    assert not list(outside.iterdir())


async def test_a_link_of_a_files_name_is_replaced_not_followed(
    registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").symlink_to(victim)
    await registry.pull(REF, copy)
    assert victim.read_text() == "precious"
    assert (copy / "config.json").read_text() == "{}"


async def test_an_error_carries_all_the_server_said(registry: client.Registry) -> None:
    with pytest.raises(client.NotFound) as missing:
        await registry.get_model("acme/none")
    error = missing.value
    assert (error.code, error.reason, error.request_id) == ("NOT_FOUND", "NOT_FOUND", "req-1")
    assert error.metadata == {"k": "v"}
    assert "acme/models/none" in error.message
