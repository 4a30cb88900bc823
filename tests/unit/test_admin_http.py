"""The admin port's HTTP: a few good requests, many bad ones, and clients that dawdle."""

import asyncio

import hypothesis
import pytest
from hypothesis import strategies

from modelkeep.admin import http
from modelkeep.domain import errors

ANYWHERE = "127.0.0.1:0"


async def fine() -> http.Page:
    return http.text("ok")


async def large() -> http.Page:
    return http.Page(bytes(64 * 1024 * 1024))


PAGES = {"/fine": fine, "/large": large}


async def connect(endpoint: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = endpoint.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def exchange(endpoint: str, request: bytes) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await connect(endpoint)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /fine HTTP/1.1\r\nHost: x", b"200 OK"),
        (b"GET /fine?x=1 HTTP/1.0", b"200 OK"),
        (b"HEAD /fine HTTP/1.1\r\nHost: x", b"200 OK"),
        (b"GET / HTTP/1.1\r\nHost: x", b"404 Not Found"),
        (b"GET /fine/ HTTP/1.1\r\nHost: x", b"404 Not Found"),
        (b"GET /../etc/passwd HTTP/1.1\r\nHost: x", b"404 Not Found"),
        (b"POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 0", b"405 Method Not Allowed"),
        (b"PRI * HTTP/2.0", b"405 Method Not Allowed"),
        (b"GET /fine HTTP/1.1", b"400 Bad Request"),
        (b"\x16\x03\x01", b"400 Bad Request"),
        (b"GET /" + b"a" * 20_000, b"431 Request Header Fields Too Large"),
    ],
    ids=lambda value: value[:20].decode("ascii"),
)
async def test_what_is_known_is_answered_and_the_rest_refused(
    request_head: bytes, status: bytes
) -> None:
    async with http.answering(ANYWHERE, PAGES) as endpoint:
        answer = await exchange(endpoint, request_head + b"\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 " + status
    assert b"connection: close" in head.lower()
    assert bool(body) is not request_head.startswith(b"HEAD")


@hypothesis.settings(max_examples=60)
@hypothesis.given(strategies.lists(strategies.binary(min_size=1), max_size=8))
async def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    async with http.answering(ANYWHERE, PAGES, timeout_s=5) as endpoint:
        reader, writer = await connect(endpoint)
        for piece in pieces:
            writer.write(piece)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        assert not answer or answer.startswith(b"HTTP/1.1 ")
        assert b"200 OK" in await exchange(endpoint, b"GET /fine HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("said", [b"", b"GET /fine HTT", b"GET /large HTTP/1.0\r\n\r\n"])
async def test_who_says_nothing_or_does_not_listen_is_cut_off(said: bytes) -> None:
    async with http.answering(ANYWHERE, PAGES, timeout_s=0.2) as endpoint:
        reader, writer = await connect(endpoint)
        writer.write(said)
        async with asyncio.timeout(10):
            await writer_lost(reader, writer)
        assert b"200 OK" in await exchange(endpoint, b"GET /fine HTTP/1.0\r\n\r\n")


async def writer_lost(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Return once the other side has reset or closed the connection; nothing is read."""
    while not reader.at_eof() and reader.exception() is None:
        await asyncio.sleep(0.01)
        if writer.transport.is_closing():
            return
        writer.write(b"x")  # a reset is told to who writes
    writer.close()


async def test_silent_connections_do_not_grow_beyond_their_number() -> None:
    async with http.answering(ANYWHERE, PAGES, timeout_s=0.5) as endpoint:
        silent = [await connect(endpoint) for _ in range(40)]
        async with asyncio.timeout(10):
            for reader, _ in silent:
                try:
                    assert await reader.read() == b""
                except ConnectionError:
                    continue
        assert b"200 OK" in await exchange(endpoint, b"GET /fine HTTP/1.0\r\n\r\n")
        for _, writer in silent:
            writer.close()


async def test_an_address_in_use_is_refused_by_name() -> None:
    async with http.answering(ANYWHERE, PAGES) as endpoint:
        with pytest.raises(errors.Unavailable, match=f"cannot listen on {endpoint}"):
            async with http.answering(endpoint, PAGES):
                pass
