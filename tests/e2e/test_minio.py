"""The same over MinIO: the contract of the stores, the main job of the server, the doctor.

MinIO is built once from its Go module, into build/e2e/bin; MODELKEEP_TEST_MINIO names a program
that is there already. Where there is neither, these tests are skipped saying so.
"""

import asyncio
import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import google_crc32c
import pytest
import urllib3
from support import minio_server, services

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.client import transfer_calls

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "e2e" / "bin"
MIB = 1024 * 1024
LARGE_BYTES = 40 * MIB + 5
SMALL_FILES = 20
pytestmark = pytest.mark.timeout(900)  # the first run builds MinIO


@pytest.fixture(scope="module")
def s3() -> Iterator[services.S3]:
    """MinIO in the place of the session's SeaweedFS, for all fixtures that are made of it."""
    program = minio_server.binary(BUILT)
    if program is None:
        pytest.skip("there is no go to build MinIO, and MODELKEEP_TEST_MINIO names none")
    with minio_server.running(program) as store:
        yield store


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "parts").mkdir(parents=True)
    (root / "model.onnx").write_bytes(os.urandom(LARGE_BYTES))
    for number in range(SMALL_FILES):
        (root / "parts" / f"{number}.bin").write_bytes(os.urandom(1_000 + number))
    return root


def test_the_contract_of_the_stores_holds(s3: services.S3) -> None:
    environ = services.clean_environ(
        MODELKEEP_TEST_S3_ENDPOINT=s3.endpoint,
        MODELKEEP_TEST_S3_ACCESS_KEY=s3.access_key,
        MODELKEEP_TEST_S3_SECRET_KEY=s3.secret_key,
        MODELKEEP_TEST_S3_SECURE="false",
    )
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/contract", "-k", "configured"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    passed = re.search(r"(\d+) passed", ended.stdout)
    assert passed is not None, ended.stdout
    assert int(passed[1]) > 100


async def test_from_push_to_pull_over_minio(endpoint: str, folder: Path, tmp_path: Path) -> None:
    total = sum(map(len, contents(folder).values()))
    pushed = await run(endpoint, "push", str(folder), "acme/voice@1.0.0")
    assert (pushed["total_bytes"], pushed["sent_bytes"]) == (total, total)
    again = await run(endpoint, "push", str(folder), "acme/voice@1.1.0")
    assert again["sent_bytes"] == 0
    await run(endpoint, "stage", "acme/voice@1.0.0", "staging", "--reason", "tried")
    assert (await run(endpoint, "resolve", "acme/voice@staging"))["version"] == "1.0.0"
    assert (await run(endpoint, "verify", "acme/voice@1.0.0"))["ok"] is True
    copy = tmp_path / "copy"
    pulled = await run(endpoint, "pull", "acme/voice@1.1.0", str(copy))
    assert pulled["fetched_bytes"] == total
    assert contents(copy) == contents(folder)


async def test_bytes_go_straight_to_minio_and_no_url_outlives_its_upload(
    config: configuration.Config, folder: Path, tmp_path: Path, s3: services.S3
) -> None:
    public = configuration.HostAndPort(config.s3_endpoint)
    told = dataclasses.replace(config, s3_public_endpoint=public, s3_public_secure=False)
    content = os.urandom(LARGE_BYTES)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    first = content[: 16 * MIB]
    crc32cs = {1: google_crc32c.value(first)}
    async with app.running(told) as address, client.connect(address) as registry:
        pushed = await run(address, "push", str(folder), "acme/voice@1.0.0", "--via", "store")
        assert (pushed["direct_bytes"], pushed["total_bytes"]) == (
            LARGE_BYTES,
            pushed["sent_bytes"],
        )
        pulled = await run(address, "pull", "acme/voice", str(tmp_path / "copy"), "--via", "store")
        assert pulled["direct_bytes"] == LARGE_BYTES
        assert contents(tmp_path / "copy") == contents(folder)

        upload = await registry.start_upload("acme", digest, LARGE_BYTES)
        (url,) = (await registry.create_part_urls(upload.name, crc32cs)).urls
        assert put(url, b"x" * len(first)) == 400
        (tmp_path / "again.bin").write_bytes(content)
        again = await registry.push(
            tmp_path / "again.bin", "acme/again@1.0.0", via=client.Via.STORE
        )
        assert again.direct_bytes == LARGE_BYTES  # the same upload
        before = objects(s3, config)
        assert put(url, first) == 404
        assert objects(s3, config) == before

        aborted = await registry.start_upload("acme", f"sha256:{'0' * 64}", LARGE_BYTES)
        (url,) = (await registry.create_part_urls(aborted.name, crc32cs)).urls
        assert put(url, first) == 200
        await registry.abort_upload(aborted.name)
        assert put(url, first) == 404


def put(url: transfer_calls.TransferUrl, body: bytes) -> int:
    """The status that the store answers."""
    headers = dict(url.headers)
    return urllib3.request("PUT", url.url, body=body, headers=headers, retries=False).status


def objects(s3: services.S3, config: configuration.Config) -> list[tuple[str | None, str | None]]:
    found = s3.client().list_objects(config.s3_bucket, recursive=True)
    return [(one.object_name, one.etag) for one in found]


def test_the_doctor_finds_all_that_is_needed(s3: services.S3, bucket: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "modelkeep", "doctor", "store", "-o", "json"],
        env=services.clean_environ(
            MODELKEEP_S3_ENDPOINT=s3.endpoint,
            MODELKEEP_S3_ACCESS_KEY=s3.access_key,
            MODELKEEP_S3_SECRET_KEY=s3.secret_key,
            MODELKEEP_S3_SECURE="false",
            MODELKEEP_S3_BUCKET=bucket,
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = {entry["check"]: entry["verdict"] for entry in json.loads(ended.stdout)["checks"]}
    assert set(found.values()) == {"ok"}, found
    assert list(s3.client().list_objects(bucket, recursive=True)) == []


async def run(endpoint: str, *words: str) -> dict[str, object]:
    """What one command of the command line answers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words, "-o", "json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=services.clean_environ(MODELKEEP_ENDPOINT=endpoint),
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    answer: dict[str, object] = json.loads(stdout)
    return answer


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }
