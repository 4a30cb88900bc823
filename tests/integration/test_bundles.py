"""Bundles between two real registries: nothing is lost, nothing overwritten, nothing trusted."""

import asyncio
import functools
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support import bundling, services, signing

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.local import postgres as embedded

MODEL = "acme/voice"
INDEX = "modelkeep-bundle.json"
LARGE_BYTES = 17 * 1024 * 1024 + 3


@pytest.fixture
async def two(
    config: configuration.Config, postgres: embedded.Postgres, s3: services.S3, _template: str
) -> AsyncIterator[bundling.Two]:
    async with bundling.two_registries(config, postgres, s3, _template) as both:
        yield both


def said(number: int) -> client.Draft:
    base = client.BaseModel(version=f"{MODEL_NAME}/versions/1.0.0") if number == 2 else None
    return client.Draft(
        spec=client.ModelSpec(
            framework="onnx",
            framework_version="1.19",
            task="vad",
            architecture="crnn",
            parameters={
                "lr": 0.1,
                "epochs": 3,
                "whole": 1.0,
                "big": 2**53 + 1,
                "on": True,
                "s": "3",
            },
            inputs=(client.TensorSpec("x", "float32", (-1, 512)),),
            dependencies=(client.Dependency("pypi", "numpy", "2.1"),),
            base=base,
        ),
        datasets=(client.Dataset("calls", "2026-03", role=client.DatasetRole.TRAINING),),
        metrics={"auc": 0.1 + 0.2, "loss": 1e-300},
        source=client.Source(repository="https://git.example.com/v", commit=f"c{number}"),
        labels={"team": "audio"},
        description=f"take {number}",
        card="# Voice\n\n\N{SNOWMAN}\n",
    )


MODEL_NAME = "namespaces/acme/models/voice"


@pytest.fixture
async def folder(two: bundling.Two, tmp_path: Path) -> Path:
    """What is pushed as three versions, the first of them in production."""
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "large.bin").write_bytes(os.urandom(LARGE_BYTES))
    (root / "empty").touch()
    (root / "twin.json").write_text("{}")
    for number in range(30):
        (root / "sub" / f"{number}.txt").write_text(f"{number}")
    registry = two.source
    await registry.create_namespace("acme")
    await registry.create_model(MODEL, owner="ann", description="Hears.", labels={"a": "b"})
    for number in (1, 2):
        (root / "config.json").write_text(f'{{"n": {number}}}')
        await registry.push(root, f"{MODEL}@{number}.0.0", said(number))
    await registry.push(root, f"{MODEL}@3.0.0-rc.1", said(3))
    await registry.set_alias(f"{MODEL}@1.0.0", "champion", reason="first")
    await registry.set_alias(f"{MODEL}@2.0.0", "champion", reason="better")
    for number, stage in ((1, "staging"), (1, "production"), (2, "staging"), (2, "production")):
        await registry.set_stage(f"{MODEL}@{number}.0.0", stage, reason=f"{stage} {number}")
    return root


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


async def test_a_model_goes_to_another_registry_without_loss(
    two: bundling.Two, folder: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar"
    exported = await two.source.export_bundle(MODEL, bundle)
    assert exported.is_ok
    assert exported.digest == f"sha256:{hashlib.sha256(bundle.read_bytes()).hexdigest()}"
    report = await two.target.import_bundle(bundle)
    assert report.differences == ()
    assert report.is_ok
    counts = {count.what: (count.source, count.target) for count in report.counts}
    assert counts["versions"] == (3, 3)
    assert counts["files"] == (3 * 34, 3 * 34)
    assert counts["digests"] == (32 + 3, 32 + 3)
    assert (counts["aliases"], counts["stages"]) == ((1, 1), (3, 3))
    await assert_same(two, "1.0.0", "2.0.0", "3.0.0-rc.1")
    model = await two.target.get_model(MODEL)
    assert (model.owner, model.description, model.labels["a"]) == ("ann", "Hears.", "b")
    await two.target.pull(f"{MODEL}@production", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)


async def assert_same(two: bundling.Two, *versions: str) -> None:
    for version in versions:
        ref = f"{MODEL}@{version}"
        there, here = await two.source.get_version(ref), await two.target.get_version(ref)
        for field in (
            *("manifest_digest", "spec", "datasets", "metrics", "source", "description", "card"),
            *("stage", "aliases", "state", "total_bytes"),
        ):
            assert getattr(here, field) == getattr(there, field), (version, field)
        kept = {key: here.labels[key] for key in there.labels}
        assert kept == there.labels
        assert [f async for f in two.target.list_files(ref)] == [
            f async for f in two.source.list_files(ref)
        ]


@pytest.mark.usefixtures("folder")
async def test_times_users_and_history_are_kept_as_facts(two: bundling.Two, tmp_path: Path) -> None:
    await two.source.export_bundle(MODEL, tmp_path / "b.tar")
    await two.target.import_bundle(tmp_path / "b.tar")
    original = await two.source.get_version(f"{MODEL}@1.0.0")
    labels = (await two.target.get_version(f"{MODEL}@1.0.0")).labels
    assert original.created_at is not None
    assert labels["imported.from"] == f"{MODEL}@1.0.0"
    assert labels["imported.creator"] == original.creator
    created = original.created_at.isoformat().replace("+00:00", "Z")
    assert labels["imported.created_at"] == created
    history = [value for key, value in sorted(labels.items()) if ".history." in key]
    told = [line.split(" ", 1)[1] for line in history]
    assert told == [
        "alias champion by anonymous: first",
        "stage staging by anonymous: staging 1",
        "stage production by anonymous: production 1",
        "stage archived by anonymous: replaced by 2.0.0: production 2",
    ]
    moves = [move async for move in two.target.stage_history(MODEL, stage="production")]
    assert [move.version.rpartition("/")[2] for move in moves] == ["2.0.0"]
    assert moves[0].reason.startswith(f"Imported from bundle of {MODEL}, set by anonymous at ")
    assert moves[0].reason.endswith(": production 2")
    alias = await two.target.get_alias(MODEL, "champion")
    assert alias.reason.endswith(": better")


@pytest.mark.usefixtures("folder")
async def test_a_bundle_is_a_plain_tar_and_always_the_same(
    two: bundling.Two, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    await two.source.export_bundle(MODEL, first)
    await two.source.export_bundle(MODEL, second)
    assert first.read_bytes() == second.read_bytes()
    tar_tf = functools.partial(subprocess.run, capture_output=True, text=True, check=True)
    listed = (await asyncio.to_thread(tar_tf, ["tar", "tf", first])).stdout.split()
    assert listed[0] == INDEX
    assert len(listed) == len(set(listed)) == 1 + 32 + 3
    with tarfile.open(first) as tar:
        for name in listed[1:]:
            member = tar.extractfile(name)
            assert member is not None
            assert name == f"blobs/sha256/{hashlib.sha256(member.read()).hexdigest()}"


@pytest.mark.usefixtures("folder")
async def test_a_second_run_sends_nothing_and_moves_nothing(
    two: bundling.Two, tmp_path: Path
) -> None:
    bundle = tmp_path / "b.tar"
    await two.source.export_bundle(MODEL, bundle)
    await two.target.import_bundle(bundle)
    before = [entry async for entry in two.target.history(MODEL)]
    again = await two.target.import_bundle(bundle)
    assert again.is_ok
    assert again.sent_bytes == 0
    assert {one.verdict for one in again.versions} == {client.Verdict.THERE}
    assert [entry async for entry in two.target.history(MODEL)] == before
    at_home = await two.source.import_bundle(bundle)
    assert at_home.is_ok


async def test_what_was_deleted_here_is_not_brought_back(
    two: bundling.Two, folder: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "b.tar"
    await two.source.export_bundle(MODEL, bundle)
    await two.target.push(folder, f"{MODEL}@1.0.0")
    await two.target.delete_version(f"{MODEL}@1.0.0")
    report = await two.target.import_bundle(bundle)
    assert report.versions[0].verdict is client.Verdict.CONFLICT
    assert "restore" in report.versions[0].note
    assert (f"{MODEL}@1.0.0", "state") in {(one.where, one.what) for one in report.differences}
    spec = (await two.target.get_version(f"{MODEL}@2.0.0")).spec
    assert isinstance(spec, client.ModelSpec)
    assert spec.base is not None
    assert spec.base.uri == f"modelkeep:{MODEL}@1.0.0"  # what is deleted can be no base


@pytest.mark.usefixtures("folder")
async def test_what_is_quarantined_here_is_compared_and_told(
    two: bundling.Two, tmp_path: Path
) -> None:
    (tmp_path / "bad.bin").write_bytes(pickle.dumps(os.system))
    await two.source.push(tmp_path / "bad.bin", "acme/bad@1.0.0")
    await two.source.set_stage("acme/bad@1.0.0", "staging", reason="tried")
    await two.source.export_bundle("acme/bad", tmp_path / "bad.tar")
    strict = client.PicklePolicy.QUARANTINE
    await two.target.create_namespace("acme", pickle_policy=strict)
    report = await two.target.import_bundle(tmp_path / "bad.tar")
    assert {one.what for one in report.differences} == {"state", "stage"}
    assert any("was not moved to staging" in note for note in report.notes)


class Unplugged(Exception):
    """What ends an import in its middle."""


class Unplugging(client.Progress):
    """Ends an import when the large file is in."""

    def __init__(self) -> None:
        self.step: client.Step | None = None

    def step_began(self, step: client.Step, *_: int) -> None:
        self.step = step

    def file_ended(self, path: str) -> None:
        if self.step is client.Step.SEND and path == "large.bin":
            raise Unplugged


@pytest.mark.usefixtures("folder")
async def test_an_import_that_was_cut_goes_on(two: bundling.Two, tmp_path: Path) -> None:
    bundle = tmp_path / "b.tar"
    await two.source.export_bundle(MODEL, bundle)
    with pytest.raises(Unplugged):
        await two.target.import_bundle(bundle, listener=Unplugging())
    report = await two.target.import_bundle(bundle)
    assert report.is_ok
    assert 0 < report.sent_bytes < LARGE_BYTES
    await assert_same(two, "1.0.0", "2.0.0", "3.0.0-rc.1")


async def test_an_export_that_fails_leaves_no_file(two: bundling.Two, tmp_path: Path) -> None:
    with pytest.raises(client.NotFound):
        await two.source.export_bundle("acme/absent", tmp_path / "b.tar")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a test may block


@pytest.mark.usefixtures("folder")
async def test_what_people_decided_since_stays(two: bundling.Two, tmp_path: Path) -> None:
    bundle = tmp_path / "b.tar"
    await two.source.export_bundle(MODEL, bundle)
    await two.target.import_bundle(bundle)
    await two.target.set_stage(f"{MODEL}@1.0.0", "staging", reason="back")
    await two.target.set_stage(f"{MODEL}@1.0.0", "production", reason="back")
    await two.target.set_alias(f"{MODEL}@1.0.0", "champion", reason="ours")
    report = await two.target.import_bundle(bundle)
    assert not report.is_ok
    assert {(one.where, one.what) for one in report.differences} == {
        (f"{MODEL}@1.0.0", "stage"),
        (f"{MODEL}@2.0.0", "stage"),
        (f"{MODEL}@champion", "alias"),
    }
    assert len(report.notes) == 3
    assert (await two.target.resolve(f"{MODEL}@production")).version == "1.0.0"
    assert (await two.target.resolve(f"{MODEL}@champion")).version == "1.0.0"


async def test_a_version_with_other_content_is_a_conflict(
    two: bundling.Two, folder: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "b.tar"
    await two.source.export_bundle(MODEL, bundle)
    other = await two.target.push(folder / "twin.json", f"{MODEL}@1.0.0")
    foreseen = await two.target.import_bundle(bundle, is_dry_run=True)
    assert [one.verdict.name for one in foreseen.versions] == [
        *("CONFLICT", "WOULD_IMPORT", "WOULD_IMPORT")
    ]
    report = await two.target.import_bundle(bundle)
    assert not report.is_ok
    verdicts = {one.ref: one.verdict for one in report.versions}
    assert verdicts[f"{MODEL}@1.0.0"] is client.Verdict.CONFLICT
    assert verdicts[f"{MODEL}@2.0.0"] is client.Verdict.IMPORTED
    kept = await two.target.get_version(f"{MODEL}@1.0.0")
    assert (kept.manifest_digest, kept.stage) == (other.version.manifest_digest, "development")


@pytest.mark.usefixtures("folder")
async def test_into_another_model_takes_the_base_along(two: bundling.Two, tmp_path: Path) -> None:
    await two.source.export_bundle(MODEL, tmp_path / "b.tar")
    report = await two.target.import_bundle(tmp_path / "b.tar", into="other/speech")
    assert report.is_ok
    spec = (await two.target.get_version("other/speech@2.0.0")).spec
    assert isinstance(spec, client.ModelSpec)
    assert spec.base is not None
    assert spec.base.version == "namespaces/other/models/speech/versions/1.0.0"
    await two.source.export_bundle(f"{MODEL}@2.0.0", tmp_path / "one.tar")
    alone = await two.target.import_bundle(tmp_path / "one.tar", into="lone")
    assert alone.is_ok
    spec = (await two.target.get_version("lone/voice@2.0.0")).spec
    assert isinstance(spec, client.ModelSpec)
    assert spec.base is not None
    assert spec.base.uri == f"modelkeep:{MODEL}@1.0.0"
    assert any("base" in note for note in alone.notes)


async def test_a_prompt_goes_over_as_well(two: bundling.Two, tmp_path: Path) -> None:
    spec = client.PromptSpec(
        provider="acme",
        hosted_model="m-1",
        messages=(client.PromptMessage("user", "Say {{b}} and {{a}}"),),
        variables=("b", "a"),
        sampling=client.Sampling(temperature=0.0, seed=3),
    )
    await two.source.push(None, "acme/hello@1.0.0", client.Draft(spec=spec))
    await two.source.export_bundle("acme/hello", tmp_path / "b.tar")
    report = await two.target.import_bundle(tmp_path / "b.tar")
    assert report.is_ok, report.differences
    there = await two.source.get_version("acme/hello@1.0.0")
    here = await two.target.get_version("acme/hello@1.0.0")
    assert (here.spec, here.manifest_digest) == (there.spec, there.manifest_digest)


@pytest.mark.usefixtures("folder")
async def test_signatures_go_along_and_count_by_what_is_trusted_there(
    two: bundling.Two, tmp_path: Path
) -> None:
    ref, keys = f"{MODEL}@1.0.0", [signing.private_key(kind) for kind in ("p256", "ed25519")]
    made = [await two.source.sign_version(ref, signing.pem(key)) for key in keys]
    bundle = tmp_path / "signed.tar"
    assert (await two.source.export_bundle(MODEL, bundle)).is_ok
    report = await two.target.import_bundle(bundle)
    assert report.is_ok
    counts = {count.what: (count.source, count.target) for count in report.counts}
    assert counts["signatures"] == (2, 2)
    there = [one async for one in two.target.list_signatures(ref)]
    bundles = [await two.target.get_signature_bundle(one.name) for one in there]
    assert bundles == [text for _, text in made]
    assert not (await two.target.signature_verdict(ref)).is_trusted
    proof = client.SignerProof(public_key=signing.public_pem(keys[1]))
    await two.target.trust_signer("acme", "release", proof)
    verdict = await two.target.signature_verdict(ref)
    assert [one.trusted for one in verdict.signatures] == [False, True]
    again = await two.target.import_bundle(bundle)
    assert again.is_ok
    assert len([one async for one in two.target.list_signatures(ref)]) == 2


@pytest.mark.usefixtures("folder")
async def test_a_signature_that_does_not_fit_is_told_and_the_rest_is_imported(
    two: bundling.Two, tmp_path: Path
) -> None:
    ref, key = f"{MODEL}@1.0.0", signing.private_key()
    await two.source.sign_version(ref, signing.pem(key))
    bundle = tmp_path / "signed.tar"
    await two.source.export_bundle(ref, bundle)

    def spoil(index: dict[str, Any]) -> None:
        index["versions"][0]["signatures"][0] = "{}"

    report = await two.target.import_bundle(rewritten(bundle, spoil))
    assert not report.is_ok
    assert any("was not taken" in note for note in report.notes)
    assert (await two.target.get_version(ref)).state is client.VersionState.READY


def rewritten(bundle: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The bundle with another index."""
    other = bundle.with_name("rewritten.tar")
    with tarfile.open(bundle) as read, tarfile.open(other, "w", format=tarfile.GNU_FORMAT) as out:
        for member in read:
            content = read.extractfile(member)
            assert content is not None
            text = content.read()
            if member.name == INDEX:
                index = json.loads(text)
                change(index)
                text = json.dumps(index).encode()
                member.size = len(text)
            out.addfile(member, io.BytesIO(text))
    return other


@pytest.mark.usefixtures("folder")
async def test_a_dry_run_writes_nothing(two: bundling.Two, tmp_path: Path) -> None:
    await two.source.export_bundle(MODEL, tmp_path / "b.tar")
    report = await two.target.import_bundle(tmp_path / "b.tar", is_dry_run=True)
    assert report.is_ok
    assert {one.verdict for one in report.versions} == {client.Verdict.WOULD_IMPORT}
    assert report.missing_bytes > LARGE_BYTES
    assert [one async for one in two.target.list_namespaces()] == []


def edit_index(change: Callable[[dict[str, object]], None]) -> Callable[[bytes], bytes]:
    def spoil(raw: bytes) -> bytes:
        size = tarfile.TarInfo.frombuf(raw[:512], "utf-8", "strict").size
        document = json.loads(raw[512 : 512 + size])
        change(document)
        index = json.dumps(document).encode()
        member = tarfile.TarInfo(INDEX)
        member.size = len(index)
        rest = raw[512 + -(-size // 512) * 512 :]
        return member.tobuf(tarfile.GNU_FORMAT) + index + bytes(-len(index) % 512) + rest

    return spoil


def hostile_path(document: dict[str, object]) -> None:
    versions = document["versions"]
    assert isinstance(versions, list)
    versions[0]["files"][0]["path"] = "../../etc/passwd"


def as_link(raw: bytes) -> bytes:
    """The member after the index as a symbolic link."""
    size = tarfile.TarInfo.frombuf(raw[:512], "utf-8", "strict").size
    at = 512 + -(-size // 512) * 512
    found = tarfile.TarInfo.frombuf(raw[at : at + 512], "utf-8", "strict")
    found.type, found.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return raw[:at] + found.tobuf(tarfile.GNU_FORMAT) + raw[at + 512 :]


def huge_index(raw: bytes) -> bytes:
    member = tarfile.TarInfo(INDEX)
    member.size = 1 << 40
    return member.tobuf(tarfile.GNU_FORMAT) + raw[512:]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda raw: raw[:-200_000], "cut off"),
        (lambda raw: raw[:700], "cut off"),
        (lambda _: b"", "cut off"),
        (lambda raw: raw[: len(raw) // 2] + b"\xff" + raw[len(raw) // 2 + 1 :], "damaged"),
        (lambda raw: raw + bytes(10240) + raw, "more members"),
        (lambda raw: b"\x1f\x8b" + raw, "gzip"),
        (lambda _: os.urandom(2048), "no header"),
        (as_link, "symbolic link"),
        (huge_index, "at most"),
        (edit_index(hostile_path), "'..'"),
        (edit_index(lambda document: document.update(format_version=3)), "newer modelkeep"),
        (edit_index(lambda document: document.update(versions=[], aliases=[])), "more members"),
        (edit_index(lambda document: document.update(model="x")), "not an object"),
    ],
)
@pytest.mark.usefixtures("folder")
async def test_a_spoilt_bundle_is_refused_whole(
    two: bundling.Two, tmp_path: Path, spoil: Callable[[bytes], bytes], named: str
) -> None:
    bundle = tmp_path / "b.tar"
    await two.source.export_bundle(MODEL, bundle)
    bundle.write_bytes(spoil(bundle.read_bytes()))
    with pytest.raises(client.BadSource, match=named):
        await two.target.import_bundle(bundle)
    assert [one async for one in two.target.list_namespaces()] == []


@pytest.mark.usefixtures("folder")
async def test_the_command_line_tells_and_exits_by_it(two: bundling.Two, tmp_path: Path) -> None:
    bundle = tmp_path / "b.tar"
    await two.source.export_bundle(MODEL, bundle)
    code, out, _ = await run(two.target_endpoint, "import", str(bundle), "-o", "json")
    document = json.loads(out)
    assert (code, document["ok"], len(document["versions"])) == (0, True, 3)
    code, out, _ = await run(two.target_endpoint, "import", "--dry-run", str(bundle))
    assert (code, "there already" in out) == (0, True)
    await two.target.set_alias(f"{MODEL}@1.0.0", "champion", reason="ours")
    code, out, _ = await run(two.target_endpoint, "import", str(bundle))
    assert (code, "DIFFERS" in out) == (1, True)
    again = tmp_path / "again.tar"
    code, out, _ = await run(two.target_endpoint, "export", MODEL, str(again), "-o", "json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    code, _, err = await run(two.target_endpoint, "export", MODEL, str(again))
    assert (code, "there already" in err) == (4, True)


async def run(endpoint: str, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=services.clean_environ(MODELKEEP_ENDPOINT=endpoint),
    )
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode(), stderr.decode()
