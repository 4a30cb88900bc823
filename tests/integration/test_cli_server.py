"""The command line as a person runs it: a process of its own against the real server."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import cutting_proxy

from modelkeep import app
from modelkeep import config as configuration

MIB = 1024 * 1024
LARGE_BYTES = 40 * MIB + 5
PART_BYTES = 16 * MIB


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Awaitable[Ended]]


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


@pytest.fixture
def run(endpoint: str) -> Run:
    async def invoke(*words: str, through: str = endpoint) -> Ended:
        process = await start(through, *words)
        stdout, stderr = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, stdout.decode(), stderr.decode())

    return invoke


async def start(endpoint: str, *words: str) -> asyncio.subprocess.Process:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MODELKEEP_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "MODELKEEP_ENDPOINT": endpoint},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    (root / "model.onnx").write_bytes(os.urandom(LARGE_BYTES))
    (root / "config.json").write_text("{}")
    return root


async def test_from_push_to_pull_and_back(run: Run, folder: Path, tmp_path: Path) -> None:
    pushed = await run(
        *("push", str(folder), "acme/voice@1.2.0", "--param", "lr=0.001", "--metric", "auc=0.93"),
        *("-o", "json"),
    )
    assert pushed.code == 0, pushed.stderr
    assert json.loads(pushed.stdout)["sent_bytes"] == LARGE_BYTES + 2
    assert (await run("stage", "acme/voice@1.2.0", "staging", "--reason", "tried")).code == 0
    moved = await run("stage", "acme/voice@1.2.0", "production", "--reason", "good")
    assert moved.stdout == "acme/voice@1.2.0 is now in production\n"
    resolved = json.loads((await run("resolve", "acme/voice@production", "-o", "json")).stdout)
    assert (resolved["version"], resolved["ordinal"], resolved["stage"]) == (
        "1.2.0",
        1,
        "production",
    )
    pulled = await run("pull", "acme/voice@production", str(tmp_path / "copy"), "-o", "json")
    assert json.loads(pulled.stdout)["fetched_bytes"] == LARGE_BYTES + 2
    for name in ("model.onnx", "config.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    again = await run("pull", "acme/voice@production", str(tmp_path / "copy"), "-o", "json")
    assert json.loads(again.stdout)["fetched_bytes"] == 0


async def test_exit_codes_are_the_ones_in_the_help(run: Run, folder: Path) -> None:
    small = str(folder / "config.json")
    assert (await run("push", small, "acme/voice@1.0.0")).code == 0
    (folder / "config.json").write_text("[]")
    assert (await run("push", small, "acme/voice@1.0.0")).code == 4
    assert (await run("push", small, "acme/voice@one")).code == 2
    assert (await run("resolve", "acme/voice@9.9.9")).code == 3
    assert (await run("resolve", "acme/voice@^^")).code == 2
    moved = await run("stage", "acme/voice@1.0.0", "production", "--reason", "jump")
    assert moved.code == 4
    assert "acme/voice@1.0.0" in moved.stderr
    gone = await run("ls", through="127.0.0.1:1")
    assert gone.code == 1
    assert "modelkeep dev" in gone.stderr


async def test_an_interrupted_push_is_gone_on_with_by_the_same_command(
    run: Run, endpoint: str, folder: Path
) -> None:
    async with cutting_proxy.running(endpoint) as proxy:
        # The line holds after 20 MiB: one part is durable and the rest of the file waits.
        proxy.hold_after(20 * MIB)
        process = await start(proxy.endpoint, "push", str(folder), "acme/voice@1.2.0")
        await proxy.held.wait()
        process.send_signal(signal.SIGINT)
        _, stderr = await process.communicate()
    assert process.returncode == 130
    assert "run the same command again" in stderr.decode()
    assert "Traceback" not in stderr.decode()
    again = await run("push", str(folder), "acme/voice@1.2.0", "-o", "json")
    assert again.code == 0, again.stderr
    assert "going on with model.onnx at 16.0 MiB of 40.0 MiB" in again.stderr
    sent = json.loads(again.stdout)["sent_bytes"]
    assert sent - (LARGE_BYTES - PART_BYTES) in {0, 2}


async def test_a_reader_that_goes_away_is_not_an_error_to_shout_about(
    run: Run, endpoint: str, folder: Path
) -> None:
    small = str(folder / "config.json")
    for number in range(3):
        await run("push", small, f"acme/voice@1.0.{number}")
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m modelkeep ls acme/voice -o json | true",
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "MODELKEEP_ENDPOINT": endpoint},
    )
    _, stderr = await process.communicate()
    assert stderr == b""


async def test_two_pushes_of_one_version_at_once(run: Run, folder: Path) -> None:
    ends = await asyncio.gather(
        run("push", str(folder), "acme/voice@1.2.0", "-v"),
        run("push", str(folder), "acme/voice@1.2.0", "-v"),
    )
    codes = sorted(end.code for end in ends)
    assert codes in ([0, 0], [0, 4]), ends
    told = " ".join(end.stdout + end.stderr for end in ends)
    assert "pushed" in told
    assert "Another push" in told or "is there already" in told
    listed = json.loads((await run("ls", "acme/voice", "-o", "json")).stdout)
    assert [entry["state"] for entry in listed] == ["ready"]


async def test_search_finds_orders_limits_and_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"w")
    for place, accuracy in [("acme/a@1.0.0", 0.5), ("acme/b@1.0.0", 0.9), ("other/a@1.0.0", 0.7)]:
        metric = f"accuracy={accuracy}"
        pushed = await run("push", str(tmp_path / "w.bin"), place, "--metric", metric)
        assert pushed.code == 0, pushed.stderr
    everywhere = await run("search", "metrics.accuracy > 0.6")
    assert [line.split()[0] for line in everywhere.stdout.splitlines()] == [
        "REF", "acme/b@1.0.0", "other/a@1.0.0",
    ]  # fmt: skip
    assert "ACCURACY" in everywhere.stdout
    best = ("search", "--namespace", "acme", "--order-by", "metrics.accuracy desc", "-o", "json")
    found = json.loads((await run(*best)).stdout)
    assert [entry["metrics"] for entry in found] == [{"accuracy": 0.9}, {"accuracy": 0.5}]
    first = await run(*best, "--limit", "1")
    assert len(json.loads(first.stdout)) == 1
    assert "Only the first 1 are shown" in first.stderr
    wrong = await run("search", "metrics.accuracy > high", "--model", "acme/a")
    assert wrong.code == 2
    assert "column 20" in wrong.stderr
    assert (await run("search", "a", "--namespace", "none")).code == 3
