"""Importing a Hugging Face cache, made here as the hub's own client would, into a real registry."""

import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from modelkeep import app, client
from modelkeep import config as configuration

REPO = "Acme/Tiny-BERT"
MODEL = "hub/acme--tiny-bert"
OLD, NEW = "a" * 40, "b" * 40
CARD = b"""---
license: apache-2.0
pipeline_tag: fill-mask
library_name: transformers
language: [en, de]
datasets:
- wikipedia
---
# Tiny

Fills.
"""
CONFIG = b'{"architectures": ["BertForMaskedLM"], "model_type": "bert"}'
WEIGHTS = b"weights" * 50_000


class Cache:
    """A cache on disk; `add` downloads a snapshot into it."""

    def __init__(self, root: Path, repository: str = REPO) -> None:
        self.root = root
        self.folder = root / f"models--{repository.replace('/', '--')}"
        (self.folder / "blobs").mkdir(parents=True)
        (self.folder / "refs").mkdir()

    def add(self, commit: str, files: Mapping[str, bytes], at_s: int) -> Path:
        snapshot = self.folder / "snapshots" / commit
        for path, content in files.items():
            target = snapshot / path
            target.parent.mkdir(parents=True, exist_ok=True)
            blob = self.folder / "blobs" / name_of(content)
            blob.write_bytes(content)
            target.symlink_to(os.path.relpath(blob, target.parent))
        os.utime(snapshot, (at_s, at_s))
        return snapshot

    def ref(self, name: str, commit: str) -> None:
        path = self.folder / "refs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commit)


def name_of(content: bytes) -> str:
    """As the hub names blobs: SHA-256 of what is in LFS, Git's hash of the rest."""
    if len(content) > 10_000:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - Git's


@pytest.fixture
async def registry(config: configuration.Config) -> AsyncIterator[client.Registry]:
    async with app.running(config) as address, client.connect(address) as connected:
        yield connected


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "hub")
    files = {"README.md": CARD, "config.json": CONFIG, "onnx/model.onnx": WEIGHTS}
    made.add(NEW, files, 2_000)
    made.add(OLD, {**files, "config.json": b"{}"}, 1_000)
    made.ref("main", NEW)
    made.ref("refs/pr/1", OLD)
    made.ref("v1.0", OLD)
    return made


async def test_snapshots_become_versions_by_age(registry: client.Registry, cache: Cache) -> None:
    report = await registry.import_hf_cache(cache.root, "hub")
    assert report.is_ok, report
    assert [one.ref for one in report.versions] == [f"{MODEL}@0.1.0", f"{MODEL}@0.2.0"]
    counts = {count.what: count.target for count in report.counts}
    assert (counts["versions"], counts["files"], counts["aliases"]) == (2, 6, 3)
    new = await registry.resolve(f"{MODEL}@main")
    assert (new.version, new.source.commit) == ("0.2.0", NEW)
    assert new.source.repository == f"hf://{REPO}"
    assert {key: new.labels[key] for key in ("license", "task", "library", "language")} == {
        "license": "apache-2.0",
        "task": "fill-mask",
        "library": "transformers",
        "language": "en, de",
    }
    whole = await registry.get_version(new.ref)
    assert whole.card == "# Tiny\n\nFills."
    assert isinstance(whole.spec, client.ModelSpec)
    assert (whole.spec.architecture, whole.spec.task) == ("BertForMaskedLM", "fill-mask")
    assert {alias.alias for alias in [one async for one in registry.list_aliases(MODEL)]} == {
        *("main", "pr-1", "ref-v1.0")
    }


async def test_a_second_run_goes_on_where_the_cache_has_grown(
    registry: client.Registry, cache: Cache
) -> None:
    await registry.import_hf_cache(cache.root, "hub")
    cache.add("c" * 40, {"README.md": CARD, "new.bin": b"n"}, 500)  # older by its folder
    cache.ref("main", "c" * 40)
    report = await registry.import_hf_cache(cache.root, "hub", repositories=[REPO])
    assert report.is_ok, report.differences
    verdicts = {one.ref: one.verdict.name for one in report.versions}
    assert verdicts == {
        f"{MODEL}@0.1.0": "THERE",
        f"{MODEL}@0.2.0": "THERE",
        f"{MODEL}@0.3.0": "IMPORTED",
    }
    assert (await registry.resolve(f"{MODEL}@main")).version == "0.3.0"


async def test_what_is_not_whole_is_told(registry: client.Registry, cache: Cache) -> None:
    (cache.folder / "blobs" / f"{'d' * 64}.incomplete").write_bytes(b"half")
    snapshot = cache.add("e" * 40, {"a.bin": b"a"}, 3_000)
    (snapshot / "gone.bin").symlink_to("../../blobs/nowhere")
    (cache.folder / "snapshots" / ("f" * 40)).mkdir()
    report = await registry.import_hf_cache(cache.root, "hub")
    assert report.is_ok
    assert [one.verdict.name for one in report.versions].count("LEFT_OUT") == 1
    told = "\n".join(report.notes)
    assert "never finished" in told
    assert "gone.bin was not downloaded" in told


async def test_damaged_blobs_are_found(registry: client.Registry, cache: Cache) -> None:
    blob = cache.folder / "blobs" / name_of(WEIGHTS)
    blob.write_bytes(b"x" + WEIGHTS[1:])
    report = await registry.import_hf_cache(cache.root, "hub")
    assert not report.is_ok
    assert {one.verdict.name for one in report.versions} == {"LEFT_OUT"}
    assert "damaged in the cache" in report.versions[0].note


async def test_links_out_of_the_repository_are_refused(
    registry: client.Registry, cache: Cache, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s")
    (cache.folder / "snapshots" / NEW / "s").symlink_to(tmp_path / "secret")
    with pytest.raises(client.BadTree, match="leads out"):
        await registry.import_hf_cache(cache.root, "hub")
    assert [one async for one in registry.list_namespaces()] == []


async def test_a_dry_run_tells_and_writes_nothing(registry: client.Registry, cache: Cache) -> None:
    report = await registry.import_hf_cache(cache.root, "hub", is_dry_run=True)
    assert [one.verdict.name for one in report.versions] == ["WOULD_IMPORT"] * 2
    assert report.missing_bytes == len(WEIGHTS) + len(CARD) + len(CONFIG) + 2
    assert [one async for one in registry.list_namespaces()] == []


@pytest.mark.parametrize(
    "front", [b"---\n- a\n---\nT", b"---\na: [\n---\nT", b"---\n&a [*a]\n---\nT"]
)
async def test_a_strange_card_is_told_and_kept(
    registry: client.Registry, tmp_path: Path, front: bytes
) -> None:
    cache = Cache(tmp_path / "hub")
    cache.add(NEW, {"README.md": front, "config.json": b"\xff"}, 1)
    report = await registry.import_hf_cache(cache.root, "hub")
    assert report.is_ok, report
    assert any("front matter" in note for note in report.notes)
    assert (await registry.get_version(f"{MODEL}@0.1.0")).card == "T"


async def test_a_folder_that_is_no_cache_is_refused(
    registry: client.Registry, cache: Cache, tmp_path: Path
) -> None:
    with pytest.raises(client.BadSource, match="models--ORG--NAME"):
        await registry.import_hf_cache(tmp_path / "nothing", "hub")
    with pytest.raises(client.BadSource, match="there are Acme/Tiny-BERT"):
        await registry.import_hf_cache(cache.root, "hub", repositories=["acme/other"])
