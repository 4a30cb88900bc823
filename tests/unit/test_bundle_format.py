"""The format of bundles alone: what is written is read back the same, and nothing else is read."""

import tarfile
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies
from support import bundling

from modelkeep import client
from modelkeep.client import manifest
from modelkeep.client.exchange import bundle_file, bundle_index, bundle_tar, facts

TEXT = strategies.text(strategies.characters(exclude_categories=("Cs", "Cc")), max_size=20)
SCALARS = strategies.one_of(
    strategies.booleans(),
    strategies.integers(-(2**63), 2**63 - 1),
    strategies.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)


@hypothesis.given(
    parameters=strategies.dictionaries(TEXT, SCALARS, max_size=5),
    metrics=strategies.dictionaries(
        TEXT, strategies.floats(allow_nan=False, allow_infinity=False), max_size=3
    ),
    words=TEXT,
)
def test_an_index_is_read_as_it_was_written(
    parameters: dict[str, bool | int | float | str], metrics: dict[str, float], words: str
) -> None:
    told = bundling.one_version(
        client.Draft(
            spec=client.ModelSpec(framework=words, parameters=parameters),
            metrics=metrics,
            labels={"l": words},
            description=words,
            card=words,
        )
    )
    raw = bundle_index.encode(told)
    read, part = bundle_index.decode(raw)
    assert (read, part) == (told, None)
    kept = read.versions[0].draft.spec
    assert isinstance(kept, client.ModelSpec)
    assert {key: type(one) for key, one in kept.parameters.items()} == {
        key: type(one) for key, one in parameters.items()
    }
    assert bundle_index.encode(read) == raw


def test_a_bundle_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(bundling.written(bundling.one_version()))
    found = bundle_file.read(path)
    assert found.bundle == bundling.one_version()
    for content, file in zip(
        bundling.CONTENTS, bundling.one_version().versions[0].files, strict=True
    ):
        placed = found.blobs[file.digest]
        assert path.read_bytes()[placed.start :][: placed.size_bytes] == content


def test_gnu_tar_and_python_write_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(bundling.written(bundling.one_version()))
    again = tmp_path / "again.tar"
    with tarfile.open(path) as old, tarfile.open(again, "w", format=tarfile.GNU_FORMAT) as new:
        for member in old.getmembers():
            new.addfile(member, old.extractfile(member))
    assert bundle_file.read(again).bundle == bundling.one_version()
    with tarfile.open(path) as old, tarfile.open(again, "w", format=tarfile.PAX_FORMAT) as new:
        for member in old.getmembers():
            member.mtime = 0.5
            new.addfile(member, old.extractfile(member))
    with pytest.raises(client.BadSource, match="--format=gnu"):
        bundle_file.read(again)


@hypothesis.given(at=strategies.integers(0, 5000), byte=strategies.binary(min_size=1, max_size=9))
def test_a_changed_byte_is_never_an_accident(
    at: int, byte: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = bundling.written(bundling.one_version())
    path = tmp_path_factory.getbasetemp() / "changed.tar"
    path.write_bytes(raw[:at] + byte + raw[at + len(byte) :])
    try:
        found = bundle_file.read(path)
    except client.BadSource:
        return
    for version in found.bundle.versions:
        assert manifest.digest(version.files) == version.manifest_digest


@hypothesis.given(cut=strategies.integers(0, 30_000))
def test_a_cut_bundle_is_refused(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    raw = bundling.written(bundling.one_version())
    hypothesis.assume(cut < len(raw.rstrip(b"\0")))
    path = tmp_path_factory.getbasetemp() / "cut.tar"
    path.write_bytes(raw[:cut])
    with pytest.raises(client.BadSource):
        bundle_file.read(path)


@hypothesis.given(raw=strategies.binary(max_size=300))
def test_other_bytes_are_no_index(raw: bytes) -> None:
    with pytest.raises(client.BadSource):
        bundle_index.decode(raw)


def test_a_large_size_needs_no_extended_header() -> None:
    size_bytes = 5 * 1024**4
    block = bundle_tar.header("blobs/sha256/" + "0" * 64, size_bytes)
    assert len(block) == bundle_tar.BLOCK_BYTES
    assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == size_bytes


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        *(("main", "main"), ("Champion", "champion"), ("pr/1", "pr-1"), ("v1.0", "x-v1.0")),
        *(("production", "x-production"), ("latest", "x-latest"), ("___", "x"), ("7", "x-7")),
    ],
)
def test_aliases_are_the_nearest_that_may_be(name: str, alias: str) -> None:
    assert facts.alias_of(name, "x-") == alias
    client.parse_ref(f"acme/voice@{alias}")


@hypothesis.given(strategies.text(max_size=300))
def test_ids_and_label_keys_always_are_such(name: str) -> None:
    client.parse_ref(f"acme/{facts.id_of(name, otherwise='model')}")
    assert 1 <= len(facts.label_key_of(name)) <= 63
