"""Keeps the three parts running, in order, until told to stop."""

import asyncio
import collections
import logging
import time
from collections.abc import Callable
from typing import Protocol

from modelkeep.local import child, errors, files, server

_TRIES = 5
_WITHIN_S = 60.0
_FIRST_PAUSE_S = 0.1
_log = logging.getLogger(__name__)


class Part(Protocol):
    """One supervised part: a service or the server."""

    name: str
    child: child.Child | None

    async def start(self) -> None:
        """Start and return once it is ready, or raise `errors.LocalError`."""

    async def stop(self) -> None:
        """End it; nothing is left when this returns."""


class Supervisor:
    """Starts services side by side, then the server, and restarts what ends by itself."""

    def __init__(
        self, services: tuple[Part, ...], front: server.Server, places: child.Places
    ) -> None:
        self._services = services
        self._server = front
        self._places = places
        self._ends: dict[str, collections.deque[float]] = collections.defaultdict(
            lambda: collections.deque(maxlen=_TRIES)
        )

    async def run(self, stop: asyncio.Event, on_ready: Callable[[str], None]) -> None:
        """Run until `stop` is set; call `on_ready` with the endpoint once. Leaves no process.

        Raises:
            errors.LocalError: a part does not start, or keeps ending by itself.
        """
        work = asyncio.create_task(self._work(on_ready))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, stopping):
                task.cancel()
            await asyncio.wait({work, stopping})
            await self._stop()

    async def _work(self, on_ready: Callable[[str], None]) -> None:
        began = time.monotonic()
        await self._server.end_leftovers()  # before the services it would still be talking to
        started = await asyncio.gather(
            *(part.start() for part in self._services), return_exceptions=True
        )
        for outcome in started:
            if outcome is not None:
                raise outcome
        _log.info("services ready after %.1f s", time.monotonic() - began)
        await self._server.start()
        _log.info("server ready after %.1f s", time.monotonic() - began)
        on_ready(self._server.endpoint)
        while True:
            await self._restart(await self._first_to_end())

    async def _first_to_end(self) -> Part:
        parts = (*self._services, self._server)
        waits = {asyncio.create_task(_ended(part)) for part in parts}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return min((wait.result() for wait in done), key=parts.index)  # services before the server

    async def _restart(self, part: Part) -> None:
        await part.stop()
        await asyncio.sleep(self._pause_s(part))
        try:
            await part.start()
            if part is not self._server and self._server.is_outdated:
                await self._server.stop()
                await self._server.start()
        except errors.LocalError as error:
            _log.warning("%s", error)  # it counts as another end

    def _pause_s(self, part: Part) -> float:
        """How long to wait before the next start, doubled each time; raises when it is hopeless."""
        now = time.monotonic()
        ends = self._ends[part.name]
        if len(ends) == _TRIES and now - ends[0] < _WITHIN_S:
            log = files.tail(self._places.log(part.name))
            raise errors.LocalError(
                f"The {part.name} ended {_TRIES + 1} times within a minute; "
                f"the end of {self._places.log(part.name)}:\n{log}"
            )
        ends.append(now)
        recent = sum(now - end < _WITHIN_S for end in ends)
        _log.warning("the %s ended by itself; starting it again", part.name)
        return _FIRST_PAUSE_S * float(2 ** (recent - 1))

    async def _stop(self) -> None:
        for part in (self._server, *reversed(self._services)):
            _log.info("ending the %s", part.name)
            try:
                await part.stop()
            except OSError:  # the others must end all the same
                _log.exception("cannot end the %s", part.name)


async def _ended(part: Part) -> Part:
    if part.child is not None:
        await part.child.wait()
    return part
