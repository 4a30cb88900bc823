"""The least HTTP that probes and scrapers need: one GET or HEAD a connection, within a bound."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import h11

from modelkeep.domain import errors

_PLAIN = "text/plain; charset=utf-8"
_MOST_CONNECTIONS = 32
_MOST_HEADER_BYTES = 8192
_READ_BYTES = 4096
_ANSWER_BYTES = 65_536
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = _PLAIN


def text(*lines: str, status: HTTPStatus = HTTPStatus.OK) -> Page:
    """A page of plain lines."""
    return Page("".join(f"{line}\n" for line in lines).encode(), status)


Pages = Mapping[str, Callable[[], Awaitable[Page]]]


class Responder:
    """Answers each connection once and closes it; whoever dawdles is cut off.

    Args:
        pages: what is at which path; anything else is 404.
        timeout_s: longest that a connection may take from its beginning to its end.
    """

    def __init__(self, pages: Pages, timeout_s: float) -> None:
        self._pages = pages
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection, unless there are too many."""
        if len(self._tasks) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut off whoever is still connected."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(self._timeout_s):
                    await self._answer(reader, writer)
                    writer.close()
                    await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEADER_BYTES)
        try:
            request = await _request(connection, reader)
            if request is None:
                return
            page = await self._page(request)
            body = b"" if request.method == b"HEAD" else page.body
        except h11.RemoteProtocolError as error:
            page = text("not HTTP as we know it", status=HTTPStatus(error.error_status_hint))
            body = page.body
        for event in (_head(page), h11.Data(data=body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()

    async def _page(self, request: h11.Request) -> Page:
        if request.method not in (b"GET", b"HEAD"):
            return text("only GET and HEAD", status=HTTPStatus.METHOD_NOT_ALLOWED)
        path = request.target.decode("ascii", "replace").partition("?")[0]
        if path not in self._pages:
            known = " ".join(self._pages)
            return text(f"no such page; there are {known}", status=HTTPStatus.NOT_FOUND)
        return await self._pages[path]()


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The request that comes next; None if the client went away."""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            return event
        else:
            return None


async def get(endpoint: str, path: str, timeout_s: float) -> Page:
    """A page of another process's admin port.

    Raises `errors.Unavailable` if it does not answer in time, or not as HTTP.
    """
    host, _, port = endpoint.rpartition(":")
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            try:
                return await _asked(reader, writer, endpoint, path)
            finally:
                writer.transport.abort()
    except (TimeoutError, OSError, h11.ProtocolError) as error:
        raise errors.Unavailable(f"{endpoint}{path} does not answer") from error


async def _asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, endpoint: str, path: str
) -> Page:
    connection = h11.Connection(h11.CLIENT)
    headers = [("host", endpoint), ("connection", "close")]
    for sent in (h11.Request(method="GET", target=path, headers=headers), h11.EndOfMessage()):
        writer.write(connection.send(sent) or b"")
    status, body = HTTPStatus.OK, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_ANSWER_BYTES))
        elif isinstance(event, h11.Response):
            status = HTTPStatus(event.status_code)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Page(bytes(body), status)


def _head(page: Page) -> h11.Response:
    headers = [
        ("content-type", page.content_type),
        ("content-length", str(len(page.body))),
        ("connection", "close"),
    ]
    if page.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("allow", "GET, HEAD"))
    return h11.Response(status_code=page.status, headers=headers, reason=page.status.phrase)


@contextlib.asynccontextmanager
async def answering(listen: str, pages: Pages, timeout_s: float = _TIMEOUT_S) -> AsyncIterator[str]:
    """Answer on this address inside the block; yields its `host:port`.

    Raises `errors.Unavailable` if the address cannot be had.
    """
    host, _, port = listen.rpartition(":")
    responder = Responder(pages, timeout_s)
    try:
        server = await asyncio.start_server(responder.connected, host.strip("[]"), int(port))
    except OSError as error:
        raise errors.Unavailable(
            f"cannot listen on {listen}, which MODELKEEP_ADMIN_LISTEN names: {error.strerror}"
        ) from error
    try:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await responder.close()
