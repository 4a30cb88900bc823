"""`modelkeep serve` as a process of its own: started, killed, and always ended."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import urllib3
from prometheus_client import parser
from support import planted, services

from modelkeep import allocator
from modelkeep import config as configuration

START_TIMEOUT_S = 30


def environ_of(config: configuration.Config, listen: str, **settings: str) -> dict[str, str]:
    """The environment of a server with this configuration, and more settings, on this address."""
    usual = {
        **allocator.SETTINGS,  # else it would start itself again to have them
        "MODELKEEP_DATABASE_URL": config.database_url,
        "MODELKEEP_S3_ENDPOINT": config.s3_endpoint,
        "MODELKEEP_S3_ACCESS_KEY": config.s3_access_key,
        "MODELKEEP_S3_SECRET_KEY": config.s3_secret_key,
        "MODELKEEP_S3_BUCKET": config.s3_bucket,
        "MODELKEEP_S3_SECURE": "false",
        "MODELKEEP_LISTEN": listen,
        "MODELKEEP_ANONYMOUS_ROLE": config.anonymous_role,
    }
    return services.clean_environ(**usual | settings)


@contextlib.asynccontextmanager
async def serving(
    config: configuration.Config, listen: str = "127.0.0.1:0"
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A server that is ready, and its `host:port`; killed at the end if it still runs."""
    async with _started(config, listen, {}) as (process, said):
        yield process, said[-1].split()[-1]


@contextlib.asynccontextmanager
async def logged(
    config: configuration.Config, log: Path, **settings: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """As `serving`, with more settings; what it logs goes to the file."""
    with log.open("ab") as opened:
        async with _started(config, "127.0.0.1:0", settings, opened) as (process, said):
            yield process, said[-1].split()[-1]


@contextlib.asynccontextmanager
async def _started(
    config: configuration.Config,
    listen: str,
    settings: dict[str, str],
    log: BinaryIO | None = None,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    """A server, and the lines it said until it was ready; killed at the end if it still runs."""
    with planted.SERVER_OUTPUT.open("ab") as session_log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelkeep", "serve"),
            env=environ_of(config, listen, **settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=log or session_log,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            said = [(await process.stdout.readline()).decode()]
            while "ready on" not in said[-1]:
                assert said[-1], "the server ended before it was ready"
                said.append((await process.stdout.readline()).decode())
        yield process, said
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def refused(
    config: configuration.Config, listen: str = "127.0.0.1:0", **settings: str
) -> subprocess.CompletedProcess[str]:
    """How a server ended that must not start."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "modelkeep", "serve"],
        env=environ_of(config, listen, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """A server with an admin port; `admin` is that port's URL without a slash at its end."""

    process: asyncio.subprocess.Process
    endpoint: str
    admin: str

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the admin port."""
        answer = await asyncio.to_thread(
            urllib3.request, "GET", f"{self.admin}{path}", retries=False, timeout=10
        )
        return answer.status, answer.data.decode()

    async def figure(self, name: str, **labels: str) -> float:
        """One sample of `/metrics`; 0 if there is none with these labels."""
        _, text = await self.get("/metrics")
        for family in parser.text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return 0.0


@contextlib.asynccontextmanager
async def watched(
    config: configuration.Config, listen: str = "127.0.0.1:0", **settings: str
) -> AsyncIterator[Watched]:
    """As `serving`, with an admin port on a free port."""
    settings = {"MODELKEEP_ADMIN_LISTEN": "127.0.0.1:0", **settings}
    async with _started(config, listen, settings) as (process, said):
        yield Watched(process, said[-1].split()[-1], said[0].split()[3].rstrip("/"))
