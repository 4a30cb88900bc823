"""Bumps, histories, protected aliases and differences as a person meets them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelkeep import app
from modelkeep import config as configuration


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


async def run(endpoint: str, *words: str) -> tuple[int, str, str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "MODELKEEP_ENDPOINT": endpoint},
    )
    stdout, stderr = await process.communicate()
    return process.returncode or 0, stdout.decode(), stderr.decode()


async def test_two_versions_their_alias_and_what_lies_between(
    endpoint: str, tmp_path: Path
) -> None:
    file = tmp_path / "weights.bin"
    for n, metric in enumerate(("0.5", "0.75")):
        file.write_text(f"weights {n}")
        words = ("push", str(file), "acme/voice", "--bump", "minor", "--metric", f"auc={metric}")
        assert (await run(endpoint, *words))[0] == 0
    code, out, _ = await run(endpoint, *words)
    assert (code, out.split(";")[0]) == (0, "unchanged: acme/voice@0.2.0 has this content already")

    protect = ("alias", "protect", "acme/voice", "champion", "--reason", "it is served")
    assert (await run(endpoint, *protect))[0] == 0
    move = ("alias", "set", "acme/voice@0.2.0", "champion")
    code, _, err = await run(endpoint, *move)
    assert (code, "say why" in err) == (4, True)
    assert (await run(endpoint, *move, "--reason", "better", "--expect", "none"))[0] == 0
    back = ("alias", "set", "acme/voice@0.1.0", "champion", "--reason", "no")
    code, _, err = await run(endpoint, *back, "--expect", "0.1.0")
    assert (code, "points at 0.2.0, not at 0.1.0" in err) == (4, True)

    code, out, _ = await run(endpoint, "history", "acme/voice", "--alias", "champion")
    assert code == 0
    assert "set to 0.2.0" in out.splitlines()[1]
    code, out, _ = await run(endpoint, "history", "acme/voice", "-o", "json", "--limit", "3")
    assert [entry["action"] for entry in json.loads(out)] == [
        "alias.set",
        "alias.protected",
        "version.finalized",
    ]

    refs = ("acme/voice@0.1.0", "acme/voice@champion")
    code, out, _ = await run(endpoint, "diff", *refs)
    assert code == 0
    assert "files: 1 changed" in out
    assert "+0.25" in out
    assert max(map(len, out.splitlines())) <= 100
    assert (await run(endpoint, "diff", *refs, "--exit-code", "-o", "json"))[0] == 1
    assert (await run(endpoint, "diff", refs[0], refs[0], "--exit-code"))[0] == 0
