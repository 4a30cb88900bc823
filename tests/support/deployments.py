"""A database and a store of one test's own, which it may kill, freeze and bring back."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
from support import services

from modelkeep import config as configuration
from modelkeep.local import postgres, seaweed
from modelkeep.storage import migrations

Part = postgres.Postgres | seaweed.SeaweedFS


class Deployment:
    """What a server stands on."""

    def __init__(self, data: Path) -> None:
        for part in ("pg", "s3"):
            (data / part).mkdir()
        self.postgres = postgres.Postgres(data / "pg")
        self.store = seaweed.SeaweedFS(data / "s3", volume_size_mib=64, stop_timeout_s=0.5)

    def config(self) -> configuration.Config:
        return configuration.Config(
            database_url=self.postgres.url,
            s3_endpoint=self.store.endpoint,
            s3_access_key=self.store.access_key,
            s3_secret_key=self.store.secret_key,
            s3_secure=False,
            listen="127.0.0.1:0",
            anonymous_role="admin",
        )


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Deployment]:
    """Both, started, and the database migrated."""
    with services.scratch_directory() as data:
        parts = Deployment(data)
        try:
            await parts.postgres.start()
            await parts.store.start()
            await migrations.migrate(parts.postgres.url)
            yield parts
        finally:
            await parts.store.stop()
            await parts.postgres.stop()


async def kill(part: Part) -> None:
    """Kill a part's process and wait until it is gone."""
    assert part.child is not None
    os.kill(part.child.pid, signal.SIGKILL)
    await part.child.wait()


@contextlib.contextmanager
def frozen(part: Part) -> Iterator[None]:
    """A part's processes stand still inside the block."""
    assert part.child is not None
    first = psutil.Process(part.child.pid)
    stopped = [first, *first.children(recursive=True)]
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            process.resume()
