"""TLS in front of something that speaks plaintext, with whatever certificate a test wants."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from support import pki


@dataclass
class Front:
    """Where it is, and how many bytes clients have sent to it through TLS."""

    endpoint: str = ""
    received_bytes: int = 0


@contextlib.asynccontextmanager
async def running(behind: str, pair: pki.Pair, directory: Path) -> AsyncIterator[Front]:
    """A door that leads to `behind`, a `host:port`."""
    front = Front()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair.write(directory, "front"))
    host, _, port = behind.rpartition(":")

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            their_reader, their_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(
                _carry(reader, their_writer, front), _carry(their_reader, writer, None)
            )

    server = await asyncio.start_server(lead, "127.0.0.1", 0, ssl=context)
    front.endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield front
    finally:
        server.close()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: Front | None
) -> None:
    try:
        while block := await reader.read(256 * 1024):
            if counted is not None:
                counted.received_bytes += len(block)
            writer.write(block)
            await writer.drain()
    finally:
        writer.close()
