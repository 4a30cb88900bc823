"""MinIO as a child of a test: on a free port, a scratch directory and keys of its own."""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import urllib3
from support import services

from modelkeep.local import ports

VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
"""The last one that is open; its RELEASE tags are no versions that Go knows."""
_MODULE = f"github.com/minio/minio@{VERSION}"
_READY_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 15
_LINES_SHOWN = 20


def binary(built: Path) -> Path | None:
    """The program: what MODELKEEP_TEST_MINIO names, or built into `built`; None without go.

    Building takes about two minutes, once, and 150 MB.
    """
    named = os.environ.get("MODELKEEP_TEST_MINIO")
    if named:
        return Path(named)
    if not (built / "minio").exists() and shutil.which("go"):
        environ = {**os.environ, "GOBIN": str(built.resolve())}
        subprocess.run(["go", "install", _MODULE], env=environ, check=True)
    return built / "minio" if (built / "minio").exists() else None


@contextlib.contextmanager
def running(program: Path) -> Iterator[services.S3]:
    """A server with no buckets; what it stored is gone afterwards."""
    with services.scratch_directory() as scratch, (scratch / "log").open("w+") as log:
        store = services.S3(
            f"{ports.LOOPBACK}:{ports.free_ports(1)[0]}",
            secrets.token_hex(8),
            secrets.token_hex(16),
        )
        process = subprocess.Popen(
            [program, "server", "--address", store.endpoint, scratch / "store"],
            env=services.clean_environ(
                HOME=str(scratch),
                MINIO_ROOT_USER=store.access_key,
                MINIO_ROOT_PASSWORD=store.secret_key,
                MINIO_BROWSER="off",
                MINIO_UPDATE="off",
            ),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _await_ready(store.endpoint, process, scratch / "log")
            yield store
        finally:
            _end(process)


def _await_ready(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    with urllib3.PoolManager(retries=False, timeout=2) as pool:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if pool.request("GET", f"http://{endpoint}/minio/health/ready").status == 200:
                    return
            time.sleep(0.05)  # it tells nobody when it is ready
    tail = "\n".join(log.read_text().splitlines()[-_LINES_SHOWN:])
    raise AssertionError(f"MinIO does not start:\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
