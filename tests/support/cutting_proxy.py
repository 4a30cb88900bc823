"""A TCP proxy that cuts its connections after so many bytes: a bad line, on demand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

_BLOCK_BYTES = 64 * 1024


class CuttingProxy:
    """Passes bytes on until the cut; `cuts` and `passed_bytes` count, both ways together."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._left_bytes: int | None = None
        self._for_good = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.endpoint = ""
        self.cuts = 0
        self.passed_bytes = 0
        self.held = asyncio.Event()
        self._released = asyncio.Event()
        self._holds = False
        self._still = False

    def hold_after(self, size_bytes: int) -> None:
        """Pass nothing more on once so many bytes have passed; `held` is set then."""
        self._left_bytes = size_bytes
        self._holds = True
        self.held.clear()
        self._released.clear()

    async def until_held(self) -> None:
        """Wait until so many bytes have passed."""
        async with asyncio.timeout(60):
            await self.held.wait()

    def stand_still(self) -> None:
        """Pass nothing more on, on any connection."""
        self._still = True
        self._released.clear()

    def release(self) -> None:
        """Pass on what is held."""
        self._holds = self._still = False
        self._released.set()

    def turn_to(self, target: str) -> None:
        """Cut, and pass what comes next to another `HOST:PORT`."""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.cuts += 1
        self._cut()

    def cut_after(self, size_bytes: int, *, for_good: bool = False) -> None:
        """Cut once so many more bytes have passed in either direction, perhaps for good."""
        self._left_bytes = size_bytes
        self._for_good = for_good

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection's bytes on, both ways."""
        if self.cuts and self._for_good:
            writer.close()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except ConnectionError:  # nobody is there, which the client is to hear
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._tasks.add(task)

    async def close(self) -> None:
        """End every connection."""
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while block := await source.read(_BLOCK_BYTES):
                if self._still:
                    await self._released.wait()
                if self._is_due(len(block)):
                    if self._holds:
                        self.held.set()
                        await self._released.wait()
                    else:
                        self.cuts += 1
                        self._cut()
                        return
                self.passed_bytes += len(block)
                sink.write(block)
                await sink.drain()
        sink.close()

    def _is_due(self, size_bytes: int) -> bool:
        if self._left_bytes is None:
            return False
        self._left_bytes -= size_bytes
        if self._left_bytes > 0:
            return False
        self._left_bytes = None
        return True

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@contextlib.asynccontextmanager
async def running(target: str) -> AsyncIterator[CuttingProxy]:
    """A proxy to that `HOST:PORT`, on a free port of the loopback."""
    proxy = CuttingProxy(target)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    proxy.endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
