"""`push --bump`: one version for one content, whatever happens on the way."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import cutting_proxy

from modelkeep import app, client
from modelkeep import config as configuration

MIB = 1024 * 1024
MODEL = "acme/voice"
MINOR = client.Bump.MINOR
PROMPT = client.PromptSpec(
    provider="vllm",
    hosted_model="m-1",
    messages=(client.PromptMessage("user", "{{b}} {{a}}"),),
    variables=("b", "a"),
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
    (root / "weights.bin").write_bytes(os.urandom(4 * MIB))
    return root


async def test_a_push_that_was_cut_goes_on_with_the_version_it_began(
    endpoint: str, registry: client.Registry, folder: Path
) -> None:
    async with cutting_proxy.running(endpoint) as proxy:
        proxy.cut_after(2 * MIB, for_good=True)
        async with client.connect(proxy.endpoint) as through:
            with pytest.raises(client.Unavailable):
                await through.push(folder, MODEL, bump=MINOR, stall_s=0.5)
    (draft,) = [version async for version in registry.list_versions(MODEL)]
    assert (draft.version, draft.state) == ("0.1.0", client.VersionState.DRAFT)
    pushed = await registry.push(folder, MODEL, bump=MINOR)
    assert (pushed.version.version, pushed.is_new) == ("0.1.0", True)
    assert pushed.version.state is client.VersionState.READY


async def test_an_unchanged_folder_makes_no_version(
    registry: client.Registry, folder: Path
) -> None:
    said = client.Draft(metrics={"auc": 0.9})
    await registry.push(folder, MODEL, said, bump=MINOR)
    again = await registry.push(folder, MODEL, said, bump=MINOR)
    assert (again.version.version, again.is_new, again.sent_bytes) == ("0.1.0", False, 0)
    measured_anew = await registry.push(
        folder, MODEL, client.Draft(metrics={"auc": 0.8}), bump=MINOR
    )
    assert (measured_anew.version.version, measured_anew.is_new) == ("0.2.0", True)
    forced = await registry.push(
        folder, MODEL, client.Draft(metrics={"auc": 0.8}), bump=MINOR, allow_same=True
    )
    assert (forced.version.version, forced.is_new) == ("0.3.0", True)


async def test_prompts_are_bumped_and_compared_as_well(registry: client.Registry) -> None:
    said = client.Draft(spec=PROMPT)
    first = await registry.push(None, "acme/triage", said, bump=client.Bump.MAJOR)
    again = await registry.push(None, "acme/triage", said, bump=client.Bump.MAJOR)
    assert (first.version.version, first.is_new) == ("1.0.0", True)
    assert (again.version.version, again.is_new) == ("1.0.0", False)


async def test_different_folders_pushed_at_once_get_versions_in_a_row(
    registry: client.Registry, tmp_path: Path
) -> None:
    files = [tmp_path / f"{n}.bin" for n in range(8)]
    for file in files:
        file.write_bytes(os.urandom(1000))
    pushes = (registry.push(file, MODEL, bump=client.Bump.PATCH) for file in files)
    pushed = await asyncio.gather(*pushes)
    assert sorted(one.version.version for one in pushed) == [f"0.0.{n}" for n in range(1, 9)]
    assert all(one.version.state is client.VersionState.READY for one in pushed)
