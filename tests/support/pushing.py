"""What tests of pushes on bad days share: what was durable when, and what the client was told."""

import asyncio
import os
from pathlib import Path

from support import services

from modelkeep import client

MIB = 1024 * 1024
PART_BYTES = 16 * MIB


class Notes(client.Progress):
    """Keeps what it is told; `heard` is set by each note."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.heard = asyncio.Event()

    def noted(self, text: str) -> None:
        self.notes.append(text)
        self.heard.set()

    async def next(self) -> str:
        """The next note that comes, or has come since the last one asked for."""
        async with asyncio.timeout(30):
            await self.heard.wait()
        self.heard.clear()
        return self.notes[-1]


def random_file(path: Path, size_bytes: int) -> Path:
    path.write_bytes(os.urandom(size_bytes))
    return path


async def durable_parts(database_url: str) -> int:
    """How many parts are durable, over all uploads under way, right now."""
    return int(await services.fetch_value(database_url, "SELECT count(*) FROM upload_part"))


async def until_durable(database_url: str, parts: int) -> None:
    """Wait until so many parts are durable; nobody signals that."""
    async with asyncio.timeout(30):
        while await durable_parts(database_url) < parts:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
