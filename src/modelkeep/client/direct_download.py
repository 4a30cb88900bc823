"""Reading a file straight from the store: several ranges ahead, in order."""

import asyncio
import collections
from collections.abc import AsyncGenerator
from http import HTTPStatus

from modelkeep.client import errors, routes, store_errors, transfer_calls

_AHEAD = 3
_ASKED_BYTES = 256 * 1024 * 1024
"""How much is asked for at once: a slow line should have used a URL before it expires."""
_LOST_CODES = frozenset({"NoSuchKey", "InvalidRange"})
_Fetch = asyncio.Task[list[bytes]]


async def read(
    name: str,
    offset: int,
    size_bytes: int,
    calls: transfer_calls.TransferCalls,
    route: routes.Route,
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a file from `offset` to its end.

    Raises:
        DataLoss: a range is damaged; the server can tell more, so the next try goes through it.
        RegistryError: the store or the server refused or failed; read on from what came.
    """
    reading = _Reading(name, calls, route)
    try:
        while offset < size_bytes or reading.ahead:
            offset = await reading.fill(offset, size_bytes)
            for block in await reading.next():
                yield block
    finally:
        await reading.close()


class _Reading:
    """The ranges of one file that are under way, or wait for their turn."""

    def __init__(self, name: str, calls: transfer_calls.TransferCalls, route: routes.Route) -> None:
        self._name = name
        self._calls = calls
        self._route = route
        self._urls: collections.deque[transfer_calls.TransferUrl] = collections.deque()
        self._is_holding = False
        self.ahead: collections.deque[_Fetch] = collections.deque()

    async def fill(self, offset: int, size_bytes: int) -> int:
        """Begin to fetch what there is room for, at least one range; how far that reaches.

        Only who has nothing ahead waits for room, so that nobody waits for whom waits.
        """
        self._let_go()
        while offset < size_bytes and len(self.ahead) < _AHEAD:
            if self.ahead and self._route.room.locked():
                break
            await self._route.room.acquire()
            try:
                url = await self._next_url(offset, size_bytes)
            except BaseException:
                self._route.room.release()
                raise
            self.ahead.append(asyncio.create_task(self._fetch(url)))
            offset = url.end
        return offset

    async def next(self) -> list[bytes]:
        """The blocks of the first range; its room is free at the next `fill`."""
        blocks = await asyncio.shield(self.ahead[0])
        self.ahead.popleft()
        self._is_holding = True
        return blocks

    async def close(self) -> None:
        """Fetch nothing more."""
        self._let_go()
        for fetch in self.ahead:
            fetch.cancel()
        await asyncio.gather(*self.ahead, return_exceptions=True)
        for _ in self.ahead:
            self._route.room.release()
        self.ahead.clear()

    def _let_go(self) -> None:
        if self._is_holding:
            self._is_holding = False
            self._route.room.release()

    async def _next_url(self, offset: int, size_bytes: int) -> transfer_calls.TransferUrl:
        if not self._urls:
            limit = min(_ASKED_BYTES, size_bytes - offset)
            asked = await self._calls.create_range_urls(self._name, offset=offset, limit=limit)
            self._urls.extend(asked)
        if not self._urls or self._urls[0].start != offset:
            raise errors.DataLoss(
                f"The server gave no URL for byte {offset} of {self._name}.", reason="WRONG_OFFSET"
            )
        return self._urls.popleft()

    async def _fetch(self, url: transfer_calls.TransferUrl) -> list[bytes]:
        try:
            blocks = await self._get(url)
        except store_errors.StoreAway as failure:
            raise self._route.broken(url.host, failure) from None
        except store_errors.StoreRefusal as refusal:
            if refusal.code in _LOST_CODES:
                raise self._damaged(str(refusal)) from None
            raise self._route.broken(url.host, refusal) from None
        except store_errors.StoreDamage as damage:
            raise self._damaged(str(damage)) from None
        self._route.moved(url.end - url.start)
        return blocks

    async def _get(self, url: transfer_calls.TransferUrl) -> list[bytes]:
        try:
            return await self._route.line.get(url)
        except store_errors.StoreRefusal as refusal:
            if refusal.status != HTTPStatus.FORBIDDEN:
                raise
        # It may have expired before its turn came.
        fresh = await self._calls.create_range_urls(
            self._name, offset=url.start, limit=url.end - url.start
        )
        if len(fresh) != 1:
            raise store_errors.StoreDamage("the range is not there any more")
        return await self._route.line.get(fresh[0])

    def _damaged(self, what: str) -> errors.DataLoss:
        self._route.avoid(self._name)
        return errors.DataLoss(
            f"The store answered wrongly for {self._name} ({what}).", reason="CHUNK_CHECKSUM"
        )
