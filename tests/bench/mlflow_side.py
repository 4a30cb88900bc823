"""A real MLflow server beside ours, in a virtual environment of its own, over the same Postgres."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import report
import rig
import urllib3

from modelkeep.local import ports

VENV = report.ROOT / "build" / "mlflow-venv"
PACKAGES = ("mlflow", "psycopg2-binary")
WORKERS = 2
_START_TIMEOUT_S = 180.0
_API = "/api/2.0/mlflow/"


def install() -> str:
    """Make the virtual environment unless it is there; MLflow's version."""
    python = VENV / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    if not python.exists():
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(VENV))
    # What is there stays as it is, so this takes no time the second time.
    _run(uv, "pip", "install", "--quiet", "--python", str(python), *PACKAGES)
    asked = [str(python), "-c", "import importlib.metadata as m; print(m.version('mlflow'))"]
    told = subprocess.run(asked, check=True, capture_output=True, text=True)
    return told.stdout.strip()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


@contextlib.asynccontextmanager
async def running(database_url: str, directory: Path) -> AsyncIterator[str]:
    """MLflow with two workers over an empty database; yields HOST:PORT."""
    endpoint = f"{ports.LOOPBACK}:{ports.free_ports(1)[0]}"
    with (directory / "mlflow.log").open("wb") as log:
        started = await asyncio.create_subprocess_exec(
            *_command(database_url, endpoint, directory),
            stdout=log,
            stderr=log,
            env={
                "PATH": f"{VENV / 'bin'}:{os.defpath}",
                "HOME": str(directory),
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            cwd=directory,
            start_new_session=True,
        )
        try:
            await _until_it_answers(endpoint, started)
            yield endpoint
        finally:
            await _end(started)


def _command(database_url: str, endpoint: str, directory: Path) -> list[str]:
    host, _, port = endpoint.partition(":")
    return [
        str(VENV / "bin" / "mlflow"), "server", "--host", host, "--port", port,
        "--workers", str(WORKERS), "--backend-store-uri",
        database_url.replace("postgresql:", "postgresql+psycopg2:", 1),
        "--artifacts-destination", str(directory / "mlflow-artifacts"),
    ]  # fmt: skip


async def _until_it_answers(endpoint: str, started: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_START_TIMEOUT_S):
        # A process of another's making tells us nothing; it can only be asked.
        while not ports.answers(int(endpoint.rpartition(":")[2])):
            if started.returncode is not None:
                raise RuntimeError("MLflow does not start; see mlflow.log")
            await asyncio.sleep(0.2)
        while not await asyncio.to_thread(_healthy, endpoint):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)


def _healthy(endpoint: str) -> bool:
    try:
        answer = urllib3.request("GET", f"http://{endpoint}/health", retries=False, timeout=5)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == 200


async def _end(started: asyncio.subprocess.Process) -> None:
    """End it and what it started, by their ids."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        family = psutil.Process(started.pid).children(recursive=True)
        started.send_signal(signal.SIGTERM)
        _, alive = await asyncio.to_thread(psutil.wait_procs, family, 10)
        for one in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        started.kill()
    await started.wait()


def seed(endpoint: str, models: int, versions: int) -> list[str]:
    """Models with versions, the last of each with the alias `champion`; paths to get these by."""
    with urllib3.PoolManager(retries=False, timeout=60) as pool:
        for number in range(models):
            _post(pool, endpoint, "registered-models/create", {"name": f"model-{number}"})
            for _ in range(versions):
                made = {"name": f"model-{number}", "source": "s3://bucket/model"}
                _post(pool, endpoint, "model-versions/create", made)
            alias = {"name": f"model-{number}", "alias": "champion", "version": str(versions)}
            _post(pool, endpoint, "registered-models/alias", alias)
    return [
        f"{_API}registered-models/alias?name=model-{number}&alias=champion"
        for number in range(models)
    ]


def _post(pool: urllib3.PoolManager, endpoint: str, method: str, body: dict[str, Any]) -> None:
    answer = pool.request("POST", f"http://{endpoint}{_API}{method}", json=body)
    if answer.status != 200:
        raise RuntimeError(f"MLflow answers {answer.status} to {method}: {answer.data[:200]!r}")


async def measure(
    loading: asyncio.subprocess.Process, endpoint: str, paths: Sequence[str], seconds: float
) -> dict[str, Any]:
    """The rate of get-by-alias with 64 callers at once."""
    if loading.stdin is None:
        raise RuntimeError("the load has no pipe")
    asked = {"endpoint": endpoint, "paths": paths, "at_once": 64, "seconds": seconds}
    loading.stdin.write(json.dumps(asked).encode() + b"\n")
    await loading.stdin.drain()
    answered: dict[str, Any] = json.loads(await rig.line_of(loading))
    return answered
