"""What `modelkeep doctor store` says of a store that is not well, and its exit code."""

import json

import pytest
from click import testing

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.blobs import doctor as checks
from modelkeep.cli import doctor

SETTINGS = {
    "MODELKEEP_S3_ENDPOINT": "store.example:9000",
    "MODELKEEP_S3_ACCESS_KEY": "access",
    "MODELKEEP_S3_SECRET_KEY": "secret",
}
WELL = checks.Finding("put", checks.Verdict.OK, "stored and read")
LACKING = checks.Finding("presigned get", checks.Verdict.OPTIONAL, "refused", "Nothing.")
ILL = checks.Finding("ranges", checks.Verdict.WRONG, "other bytes", "Use another store.")


def examine(
    monkeypatch: pytest.MonkeyPatch, found: list[checks.Finding], *words: str
) -> testing.Result:
    async def examined(config: configuration.Config) -> list[checks.Finding]:
        assert config.s3_bucket == "modelkeep"
        return found

    monkeypatch.setattr(app, "examine_store", examined)
    return testing.CliRunner().invoke(doctor.doctor, ["store", *words], env=SETTINGS)


def test_what_is_optional_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = examine(monkeypatch, [WELL, LACKING])
    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[-1] == "this store has all that is needed"
    assert "optional" in ended.stdout


@pytest.mark.parametrize("verdict", [checks.Verdict.WRONG, checks.Verdict.MISSING])
def test_what_is_required_is(monkeypatch: pytest.MonkeyPatch, verdict: checks.Verdict) -> None:
    ended = examine(monkeypatch, [WELL, checks.Finding("ranges", verdict, "other bytes", "Move.")])
    assert ended.exit_code == 1
    assert ended.stdout.splitlines()[2].split() == ["ranges", verdict, "other", "bytes", "Move."]
    assert ended.stdout.splitlines()[-1] == "this store cannot be used: 1 of the checks failed"


def test_programs_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = examine(monkeypatch, [WELL, ILL], "-o", "json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout) == {
        "endpoint": "store.example:9000",
        "bucket": "modelkeep",
        "is_usable": False,
        "checks": [
            {"check": "put", "verdict": "ok", "meaning": "stored and read", "advice": ""},
            {
                "check": "ranges",
                "verdict": "wrong",
                "meaning": "other bytes",
                "advice": "Use another store.",
            },
        ],
    }
