"""Importing from a real MLflow: its own server, filled by its own client, into a real registry.

MLflow is installed once, with what it needs (about 850 MB), into a virtual environment of its own
under build/e2e/mlflow; MODELKEEP_TEST_MLFLOW names one that is there already. Where it cannot be
installed, these tests are skipped saying so.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import urllib3
from support import services

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.local import ports

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "e2e" / "mlflow"
MLFLOW = "mlflow>=3.1,<4"
MODEL = "ml/ticket-classifier"
START_TIMEOUT_S = 120
WEIGHTS_BYTES = 20 * 1024 * 1024 + 7
FILL = """
import os, sys, mlflow
from mlflow import MlflowClient
uri, work = sys.argv[1:]
mlflow.set_tracking_uri(uri)
os.chdir(work)
registry = MlflowClient()
mlflow.set_experiment("tickets")
registry.create_registered_model(
    "Ticket Classifier", tags={"team": "support"}, description="Sorts\\ntickets."
)
for number in range(1, 5):
    with mlflow.start_run() as run:
        mlflow.log_params({"lr": 0.1 * number, "epochs": 3, "note": "01"})
        for step in range(5):
            mlflow.log_metric("accuracy", 0.5 + 0.1 * number + 0.001 * step, step=step)
        mlflow.log_metric("broken", float("nan"))
        os.makedirs("m/a folder", exist_ok=True)
        with open("m/weights.bin", "wb") as file:
            file.write(bytes([number]) * int(os.environ["WEIGHTS_BYTES"]))
        with open("m/a folder/config 1.json", "w") as file:
            file.write('{"number": %d}' % number)
        mlflow.log_artifacts("m", "model")
    registry.create_model_version(
        "Ticket Classifier", f"runs:/{run.info.run_id}/model", run.info.run_id,
        tags={"reviewed": "yes"}, description=f"take {number}",
    )

class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input

with mlflow.start_run():
    mlflow.pyfunc.log_model(name="echo", python_model=Echo(), registered_model_name="echo")
for number, stage in ((1, "Archived"), (2, "Production"), (3, "Production"), (4, "Staging")):
    registry.transition_model_version_stage("Ticket Classifier", str(number), stage)
registry.set_registered_model_alias("Ticket Classifier", "Champion", "2")
registry.set_registered_model_alias("Ticket Classifier", "next", "4")
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # the first run installs MLflow


def program() -> Path | None:
    """The Python that has MLflow, installed if need be."""
    named = os.environ.get("MODELKEEP_TEST_MLFLOW")
    if named:
        return Path(named) / "bin" / "python"
    python = BUILT / "bin" / "python"
    if not (BUILT / "done").exists():
        venv.create(BUILT, with_pip=True, clear=True)
        installed = subprocess.run([python, "-m", "pip", "install", "-q", MLFLOW], check=False)
        if installed.returncode:
            return None
        (BUILT / "done").touch()
    return python


@pytest.fixture(scope="module")
def mlflow() -> Iterator[str]:
    """A server on SQLite and local files with two models; its address."""
    python = program()
    if python is None:
        pytest.skip("MLflow cannot be installed here, and MODELKEEP_TEST_MLFLOW names none")
    with services.scratch_directory() as scratch, (scratch / "log").open("wb") as log:
        address = f"{ports.LOOPBACK}:{ports.free_ports(1)[0]}"
        host, _, port = address.partition(":")
        words = ("--host", host, "--port", port, "--workers", "1", "--serve-artifacts")
        places = (
            *("--backend-store-uri", f"sqlite:///{scratch}/mlflow.db"),
            *("--artifacts-destination", str(scratch / "artifacts")),
        )
        environ = services.clean_environ(
            HOME=str(scratch),
            PATH=f"{python.parent}:{os.environ['PATH']}",
            MLFLOW_DISABLE_TELEMETRY="true",
            WEIGHTS_BYTES=str(WEIGHTS_BYTES),
        )
        process = subprocess.Popen(
            [python, "-m", "mlflow", "server", *words, *places],
            env=environ,
            cwd=scratch,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await_ready(address, process, scratch / "log")
            filled = subprocess.run(
                [python, "-W", "ignore", "-c", FILL, f"http://{address}", str(scratch)],
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
            assert filled.returncode == 0, filled.stderr
            yield f"http://{address}"
        finally:
            _end(process)


def _await_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    with urllib3.PoolManager(retries=False, timeout=2) as pool:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if pool.request("GET", f"http://{address}/health").status == 200:
                    return
            time.sleep(0.1)  # it tells nobody when it is ready
    raise AssertionError(f"MLflow does not start:\n{log.read_text()[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it started: they are one process group, which is its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture
async def endpoint(config: configuration.Config) -> AsyncIterator[str]:
    async with app.running(config) as address:
        yield address


async def test_a_real_mlflow_registry_comes_over(endpoint: str, mlflow: str) -> None:
    words = ("import", "mlflow", "--uri", mlflow, "--into", "ml")
    code, report = await run(endpoint, *words)
    assert (code, report["ok"]) == (0, True), report["differences"]
    counts = {count["what"]: (count["source"], count["target"]) for count in report["counts"]}
    assert (counts["versions"], counts["aliases"], counts["stages"]) == ((5, 5), (2, 2), (5, 5))
    assert counts["metrics"] == (4, 4)  # the last of each; what is no number is told of
    assert counts["parameters"] == (12, 12)
    assert sum("'broken' is nan" in note for note in report["notes"]) == 4
    async with client.connect(endpoint) as registry:
        await check_version(registry)
        await check_pointers(registry)
        echo = await registry.resolve("ml/echo@1.0.0")
        files = {file.path async for file in registry.list_files(echo.ref)}
        assert {"MLmodel", "python_model.pkl"} <= files
    code, again = await run(endpoint, *words)
    assert (code, again["sent_bytes"]) == (0, 0)
    assert {one["verdict"] for one in again["versions"]} == {"there already"}


async def check_version(registry: client.Registry) -> None:
    found = await registry.get_version(f"{MODEL}@3.0.0")
    assert found.metrics == {"accuracy": 0.5 + 0.1 * 3 + 0.001 * 4}
    assert isinstance(found.spec, client.ModelSpec)
    assert found.spec.parameters == {"lr": 0.1 * 3, "epochs": 3, "note": "01"}
    assert (found.description, found.labels["reviewed"]) == ("take 3", "yes")
    assert found.labels["mlflow.version"] == "3"
    assert found.labels["imported.run"] == found.source.run != ""
    assert found.labels["imported.created_at"].startswith("20")
    assert found.labels["imported.creator"] != ""
    content = await registry.read_file(found.ref, "a folder/config 1.json")
    assert content == b'{"number": 3}'
    assert (
        await registry.read_file(found.ref, "weights.bin", offset=WEIGHTS_BYTES - 2) == b"\x03\x03"
    )
    model = await registry.get_model(MODEL)
    assert (model.description, model.labels["team"]) == ("Sorts\ntickets.", "support")
    assert model.labels["mlflow.name"] == "Ticket Classifier"


async def check_pointers(registry: client.Registry) -> None:
    stages = {v.version: v.stage async for v in registry.list_versions(MODEL)}
    assert stages == {
        "1.0.0": "archived",
        "2.0.0": "archived",
        "3.0.0": "production",
        "4.0.0": "staging",
    }
    assert (await registry.resolve(f"{MODEL}@champion")).version == "2.0.0"
    assert (await registry.resolve(f"{MODEL}@next")).version == "4.0.0"


async def run(endpoint: str, *words: str) -> tuple[int, dict[str, object]]:
    """What one command of the command line answers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words, "-o", "json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=services.clean_environ(MODELKEEP_ENDPOINT=endpoint),
    )
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    assert stdout, stderr.decode()
    return process.returncode, json.loads(stdout)
