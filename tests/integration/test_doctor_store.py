"""`modelkeep doctor store` as an operator runs it, against stores that can and cannot be used."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import services

from modelkeep.local import ports

ROOT = Path(__file__).parents[2]
WITHOUT_MINIO = """
import sys
sys.modules["minio"] = None
from modelkeep.cli import doctor
doctor.doctor(["store"])
"""


@dataclasses.dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str


def examine(s3: services.S3, bucket: str, *words: str, **settings: str) -> Ended:
    """Run it with the store's settings and no database."""
    environ = services.clean_environ(
        **{
            "MODELKEEP_S3_ENDPOINT": s3.endpoint,
            "MODELKEEP_S3_ACCESS_KEY": s3.access_key,
            "MODELKEEP_S3_SECRET_KEY": s3.secret_key,
            "MODELKEEP_S3_SECURE": "false",
            "MODELKEEP_S3_BUCKET": bucket,
        }
        | settings
    )
    command = [sys.executable, "-m", "modelkeep", "doctor", "store", *words]
    ended = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert s3.secret_key not in ended.stdout + ended.stderr
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_our_own_store_has_all_that_is_needed(s3: services.S3, bucket: str) -> None:
    buckets = {found.name for found in s3.client().list_buckets()}
    ended = examine(s3, bucket, "-o", "json")
    assert (ended.code, ended.stderr) == (0, ""), ended.stdout
    document = json.loads(ended.stdout)
    assert (document["endpoint"], document["bucket"]) == (s3.endpoint, bucket)
    assert document["is_usable"] is True
    assert {entry["verdict"] for entry in document["checks"]} == {"ok"}, document
    assert list(s3.client().list_objects(bucket, recursive=True)) == []
    assert s3.client()._list_multipart_uploads(bucket).uploads == []
    left = {found.name for found in s3.client().list_buckets()} - buckets
    assert {name for name in left if "doctor" in name} == set()


def test_people_get_the_table_that_is_documented(s3: services.S3, bucket: str) -> None:
    ended = examine(s3, bucket)
    lines = ended.stdout.splitlines()
    documented = (ROOT / "docs" / "stores.md").read_text().partition("doctor store\n    CHECK")[2]
    shown = f"CHECK{documented}".splitlines()[: len(lines)]
    assert [without_figures(line) for line in lines] == [without_figures(line) for line in shown]
    assert lines[-1] == "this store has all that is needed"


def without_figures(line: str) -> str:
    """The line as it is however fast the store is, and however wide that makes the column."""
    return " ".join(re.sub(r"\d+\.\d ms", "… ms", line).split())


def test_a_bucket_that_is_not_there(s3: services.S3) -> None:
    ended = examine(s3, "test-not-there")
    assert_one_sentence(ended, "has no bucket 'test-not-there' yet", "MODELKEEP_S3_BUCKET")
    assert not s3.client().bucket_exists("test-not-there")


@pytest.mark.parametrize(
    "wrong", [{"MODELKEEP_S3_SECRET_KEY": "not-the-one"}, {"MODELKEEP_S3_ACCESS_KEY": "nobody"}]
)
def test_wrong_keys(s3: services.S3, bucket: str, wrong: dict[str, str]) -> None:
    ended = examine(s3, bucket, **wrong)
    assert_one_sentence(ended, "refuses our access", "MODELKEEP_S3_SECRET_KEY")


def test_nobody_listens(s3: services.S3, bucket: str) -> None:
    endpoint = f"{ports.LOOPBACK}:1"
    ended = examine(s3, bucket, MODELKEEP_S3_ENDPOINT=endpoint)
    assert_one_sentence(ended, endpoint, "Connection refused")


def test_a_setting_that_is_missing_or_unknown_is_wrong_use(s3: services.S3, bucket: str) -> None:
    unknown = examine(s3, bucket, MODELKEEP_S3_BUKET="x")
    assert unknown.code == 2
    assert "did you mean MODELKEEP_S3_BUCKET?" in unknown.stderr
    missing = subprocess.run(
        [sys.executable, "-m", "modelkeep", "doctor", "store"],
        env=services.clean_environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert missing.returncode == 2
    assert "MODELKEEP_S3_ENDPOINT" in missing.stderr
    assert "MODELKEEP_DATABASE_URL" not in missing.stderr


def test_a_missing_extra_is_one_plain_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_MINIO],
        env=services.clean_environ(
            MODELKEEP_S3_ENDPOINT="h:1", MODELKEEP_S3_ACCESS_KEY="a", MODELKEEP_S3_SECRET_KEY="s"
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = 'Error: minio is not installed; run: pip install "modelkeep[server]"\n'
    assert (ended.returncode, ended.stderr) == (1, expected)


def assert_one_sentence(ended: Ended, *parts: str) -> None:
    assert (ended.code, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("Error: ")
    for part in parts:
        assert part in ended.stderr
