"""The same over MinIO: the contract of the stores, the main job of the server, the doctor.

MinIO is built once from its Go module, into build/e2e/bin; MODELKEEP_TEST_MINIO names a program
that is there already. Where there is neither, these tests are skipped saying so.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support import minio_server, services

from modelkeep import app
from modelkeep import config as configuration

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
