"""Deployments, rollbacks and sheets as a person meets them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelkeep import app, client
from modelkeep import config as configuration


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


async def run(endpoint: str, *words: object) -> tuple[int, str, str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "MODELKEEP_ENDPOINT": endpoint},
    )
    stdout, stderr = await process.communicate()
    return process.returncode or 0, stdout.decode(), stderr.decode()


@pytest.fixture
async def deployed(endpoint: str, tmp_path: Path) -> str:
    """acme/bot: 1.0.0 ran in prod, 1.1.0 runs there; the endpoint."""
    async with client.connect(endpoint) as registry:
        for n in range(2):
            (tmp_path / "weights.bin").write_text(f"weights {n}")
            ref = f"acme/bot@1.{n}.0"
            await registry.push(tmp_path, ref)
            if n == 0:
                await registry.create_environment("acme/prod", ["production"])
            for stage in ("staging", "production"):
                await registry.set_stage(ref, stage, reason="test")
            await registry.record_deployment(ref, "prod", target="eu")
    return endpoint


async def test_a_rollback_is_told_and_refused_with_exit_code_4(deployed: str) -> None:
    words = ("rollback", "acme/bot", "--env", "prod", "--reason", "bad")
    code, out, err = await run(deployed, *words)
    assert code == 0, err
    assert "acme/bot@1.0.0 is in production now, was in archived" in out
    code, out, err = await run(deployed, *words)
    assert (code, out) == (4, "")
    assert "nothing good remains" in err
    code, out, _ = await run(deployed, "deploy", "ls", "acme/bot", "-o", "json")
    assert [one["outcome"] for one in json.loads(out)] == ["running", "rolled_back", "superseded"]


async def test_deployments_are_recorded_shown_and_ended(deployed: str) -> None:
    words = ("deploy", "record", "acme/bot@production", "--env", "prod", "--label", "build=77")
    code, out, err = await run(deployed, *words, "-o", "json")
    assert code == 0, err
    begun = json.loads(out)["deployment"]
    assert (begun["labels"], begun["version"]) == ({"build": "77"}, "acme/bot@1.1.0")
    short = begun["name"].replace("namespaces/", "").replace("models/", "")
    short = short.replace("deployments/", "")
    end = ("deploy", "end", short, "--outcome", "failed", "--reason", "crashed")
    code, out, err = await run(deployed, *end)
    assert code == 0, err
    assert "crashed" in out
    code, out, _ = await run(deployed, "deploy", "history", "acme/bot", "--at", "2026-01-01")
    assert (code, out) == (0, "Nothing ran.\n")
    code, _, err = await run(deployed, "env", "update", "acme/prod")
    assert (code, "Say what to change" in err) == (2, True)


async def test_a_sheet_goes_to_a_file_or_to_standard_output(deployed: str, tmp_path: Path) -> None:
    code, out, err = await run(deployed, "sheet", "acme/bot@1.1.0")
    assert code == 0, err
    assert out.startswith("# Deployment sheet: `acme/bot@1.1.0`\n")
    assert "modelkeep rollback acme/bot --env prod --reason 'WHY'" in out
    target = tmp_path / "sheet.json"
    words = ("sheet", "acme/bot@1.1.0", "-o", "json", "--file", target)
    code, out, err = await run(deployed, *words)
    assert (code, out) == (0, ""), err
    read = json.loads(target.read_text())
    assert read["deployments"]["entries"][0]["rollback_to"] == "1.0.0"
