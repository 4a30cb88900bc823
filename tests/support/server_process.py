"""`modelkeep serve` as a process of its own: started, killed, and always ended."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from support import services

from modelkeep import config as configuration

START_TIMEOUT_S = 30


def environ_of(config: configuration.Config, listen: str) -> dict[str, str]:
    """The environment of a server with this configuration on this address."""
    return services.clean_environ(
        MODELKEEP_DATABASE_URL=config.database_url,
        MODELKEEP_S3_ENDPOINT=config.s3_endpoint,
        MODELKEEP_S3_ACCESS_KEY=config.s3_access_key,
        MODELKEEP_S3_SECRET_KEY=config.s3_secret_key,
        MODELKEEP_S3_BUCKET=config.s3_bucket,
        MODELKEEP_S3_SECURE="false",
        MODELKEEP_LISTEN=listen,
    )


@contextlib.asynccontextmanager
async def serving(
    config: configuration.Config, listen: str = "127.0.0.1:0"
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A server that is ready, and its `host:port`; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", "serve"),
        env=environ_of(config, listen),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while b"ready on" not in (line := await process.stdout.readline()):
                assert line, "the server ended before it was ready"
        yield process, line.decode().split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
