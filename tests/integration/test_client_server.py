"""The SDK against the real server, its Postgres and its S3 store."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import cutting_proxy

from modelkeep import app, client
from modelkeep import config as configuration

MIB = 1024 * 1024
REF = "acme/voice@1.2.0"
LARGE_BYTES = 40 * MIB + 123
PART_BYTES = 16 * MIB


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


@pytest.fixture
async def registry(endpoint: str) -> AsyncIterator[client.Registry]:
    async with client.connect(endpoint) as connected:
        yield connected


@pytest.fixture
async def proxy(endpoint: str) -> AsyncIterator[cutting_proxy.CuttingProxy]:
    async with cutting_proxy.running(endpoint) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "onnx").mkdir(parents=True)
    (root / "onnx" / "model.onnx").write_bytes(os.urandom(LARGE_BYTES))
    (root / "config.json").write_text("{}")
    (root / "twin.json").write_text("{}")
    (root / "empty").touch()
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


async def test_a_folder_is_pushed_and_comes_back_the_same(
    registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    said = client.Draft(
        spec=client.ModelSpec(
            framework="onnx",
            framework_version="1.19",
            task="vad",
            parameters={"lr": 0.5, "layers": 12, "bias": True, "seed": "42"},
            inputs=(client.TensorSpec("x", "float32", (-1, 512)),),
            dependencies=(client.Dependency("pypi", "onnxruntime", "1.19.0"),),
        ),
        datasets=(client.Dataset("calls", "v3", role=client.DatasetRole.TRAINING),),
        metrics={"auc": 0.93},
        source=client.Source(repository="https://example.com/r", commit="abc"),
        labels={"team": "speech"},
        description="Hears voices.",
        card="# Voice\n",
    )
    pushed = await registry.push(folder, REF, said)
    assert pushed.is_new
    assert pushed.sent_bytes == LARGE_BYTES + 2
    version = await registry.get_version(REF)
    assert version.state is client.VersionState.READY
    # All a maker says comes back as it was said.
    assert version.spec == said.spec
    assert version.datasets == said.datasets
    assert (dict(version.metrics), version.source) == (dict(said.metrics), said.source)
    assert (dict(version.labels), version.card) == (dict(said.labels), said.card)
    pulled = await registry.pull("acme/voice", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)
    # The twins are fetched once, and stand in both places.
    assert (pulled.fetched_bytes, pulled.total_bytes) == (LARGE_BYTES + 2, LARGE_BYTES + 4)


async def test_pushing_again_sends_nothing(registry: client.Registry, folder: Path) -> None:
    await registry.push(folder, REF)
    again = await registry.push(folder, REF)
    assert (again.is_new, again.sent_bytes) == (False, 0)
    # Nor does another version with the same bytes.
    assert (await registry.push(folder, "acme/voice@1.3.0")).sent_bytes == 0


async def test_other_content_of_a_sealed_version_is_refused(
    registry: client.Registry, folder: Path
) -> None:
    await registry.push(folder, REF)
    (folder / "config.json").write_text("[]")
    with pytest.raises(client.Refused, match="other content"):
        await registry.push(folder, REF)


async def test_a_cut_upload_goes_on_within_one_push(
    proxy: cutting_proxy.CuttingProxy, folder: Path
) -> None:
    proxy.cut_after(20 * MIB)
    async with client.connect(proxy.endpoint) as through:
        pushed = await through.push(folder, REF)
    assert proxy.cuts == 1
    assert pushed.is_new
    # One part was durable when the line was cut; what came after it went twice.
    assert LARGE_BYTES < pushed.sent_bytes <= LARGE_BYTES + PART_BYTES


async def test_the_next_push_sends_only_what_is_not_durable(
    proxy: cutting_proxy.CuttingProxy, registry: client.Registry, folder: Path
) -> None:
    proxy.cut_after(25 * MIB, for_good=True)
    async with client.connect(proxy.endpoint) as through:
        with pytest.raises(client.Unavailable):
            await through.push(folder, REF, stall_s=0.5)
    draft = await registry.get_version(REF)
    assert draft.state is client.VersionState.DRAFT
    pushed = await registry.push(folder, REF)
    assert pushed.version.state is client.VersionState.READY
    small = {0, 2}  # config.json may have been committed before the cut
    assert pushed.sent_bytes - (LARGE_BYTES - PART_BYTES) in small


async def test_a_cut_pull_goes_on_from_the_bytes_it_has(
    proxy: cutting_proxy.CuttingProxy, registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    proxy.cut_after(20 * MIB)
    async with client.connect(proxy.endpoint) as through:
        pulled = await through.pull(REF, tmp_path / "copy")
    assert proxy.cuts == 1
    assert pulled.fetched_bytes == pulled.total_bytes - 2  # the twins came as one
    assert contents(tmp_path / "copy") == contents(folder)


async def test_the_next_pull_fetches_only_what_is_not_there(
    proxy: cutting_proxy.CuttingProxy, registry: client.Registry, folder: Path, tmp_path: Path
) -> None:
    await registry.push(folder, REF)
    proxy.cut_after(25 * MIB, for_good=True)
    copy = tmp_path / "copy"
    async with client.connect(proxy.endpoint) as through:
        with pytest.raises(client.Unavailable):
            await through.pull(REF, copy, stall_s=0.5)
    (part,) = copy.rglob("*.part")
    there = part.stat().st_size
    assert there > 10 * MIB
    pulled = await registry.pull(REF, copy)
    assert pulled.fetched_bytes <= pulled.total_bytes - there
    assert contents(copy) == contents(folder)


async def test_two_pushes_of_the_same_content_leave_one_version(
    registry: client.Registry, endpoint: str, folder: Path
) -> None:
    async with client.connect(endpoint) as other:
        ends = await asyncio.gather(
            registry.push(folder, REF), other.push(folder, REF), return_exceptions=True
        )
    done = [end for end in ends if isinstance(end, client.PushResult)]
    lost = [end for end in ends if isinstance(end, client.Refused)]
    assert len(done) + len(lost) == 2, ends
    assert [end.is_new for end in done].count(True) == 1
    assert all("Another push" in end.message for end in lost)
    assert [version.version async for version in registry.list_versions("acme/voice")] == ["1.2.0"]


async def test_two_pushes_of_other_content_leave_one_version(
    registry: client.Registry, endpoint: str, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for number, place in enumerate(folders):
        place.mkdir()
        (place / "model.bin").write_bytes(bytes([number]) * 1000)
    async with client.connect(endpoint) as other:
        ends = await asyncio.gather(
            registry.push(folders[0], REF), other.push(folders[1], REF), return_exceptions=True
        )
    (done,) = (end for end in ends if isinstance(end, client.PushResult))
    (lost,) = (end for end in ends if isinstance(end, client.Refused))
    assert lost.reason in {"CONCURRENT_PUSH", "VERSION_EXISTS"}
    winner = folders[ends.index(done)]
    await registry.pull(REF, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(winner)


async def test_a_prompt_is_pushed_and_pulled_as_canonical_json(
    registry: client.Registry, tmp_path: Path
) -> None:
    spec = client.PromptSpec(
        provider="vllm",
        hosted_model="qwen-x-20260101",
        messages=(client.PromptMessage("user", "{{b}} {{a}}"),),
        variables=("b", "a"),
        sampling=client.Sampling(temperature=0.0, stop=("END",)),
    )
    pushed = await registry.push(None, "acme/triage@1.0.0", client.Draft(spec=spec))
    assert (pushed.files, pushed.sent_bytes) == (1, 0)
    assert not (await registry.push(None, "acme/triage@1.0.0", client.Draft(spec=spec))).is_new
    await registry.pull("acme/triage", tmp_path / "copy")
    assert '"provider":"vllm"' in (tmp_path / "copy" / "prompt.json").read_text()


async def test_a_life_with_aliases_stages_deletion_and_return(
    registry: client.Registry, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"1")
    await registry.push(tmp_path / "model.bin", REF)
    await registry.set_alias(REF, "champion", reason="first")
    await registry.set_stage(REF, "staging", reason="tried")
    await registry.set_stage(REF, "production", reason="good")
    for selector in ("champion", "production", "latest", "^1.2", "#1"):
        assert (await registry.resolve(f"acme/voice@{selector}")).version == "1.2.0"
    with pytest.raises(client.Refused):
        await registry.delete_version(REF)
    await registry.delete_alias("acme/voice", "champion")
    await registry.set_stage(REF, "archived", reason="done")
    assert (await registry.delete_version(REF)).state is client.VersionState.DELETED
    with pytest.raises(client.NotFound):
        await registry.resolve("acme/voice")
    assert (await registry.restore_version(REF)).state is client.VersionState.READY
    updated = await registry.update_version(REF, description="new words")
    with pytest.raises(client.Conflict) as stale:
        await registry.update_version(REF, description="late words", etag="stale")
    assert stale.value.reason == "STALE_ETAG"
    assert (await registry.get_version(REF)).etag == updated.etag


async def test_every_violation_of_a_request_is_named(registry: client.Registry) -> None:
    with pytest.raises(client.InvalidRequest) as invalid:
        await registry.create_namespace(
            "acme", description="x" * 5000, labels={"BAD KEY": "y" * 300}
        )
    assert len(invalid.value.violations) >= 2
    assert any("description" in violation.field for violation in invalid.value.violations)
    assert invalid.value.request_id


async def test_a_version_of_many_files_comes_back_whole(
    registry: client.Registry, tmp_path: Path
) -> None:
    root = tmp_path / "many"
    for number in range(120):
        (root / f"{number % 7}").mkdir(parents=True, exist_ok=True)
        (root / f"{number % 7}" / f"{number}.txt").write_text(str(number // 2))
    pushed = await registry.push(root, REF)
    assert pushed.files == 120
    await registry.pull(REF, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(root)
