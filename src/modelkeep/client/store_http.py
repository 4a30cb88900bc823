"""HTTP between this machine and the store, in threads: requests that the server has signed.

A signed URL is a secret, so neither errors nor logs tell more of it than its host.
"""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from http import HTTPStatus
from typing import Any, Self, TypeVar

import google_crc32c
import urllib3

from modelkeep.client import store_errors, transfer_calls

_BLOCK_BYTES = 1024 * 1024
_CONNECT_TIMEOUT_S = 3.0
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
_PAUSES_S = (0.2, 1.0)
_SOON_S = 10.0
_UNREACHED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.SSLError,
)
_ANSWER_BYTES = 16 * 1024
_R = TypeVar("_R")


class _Stopped(Exception):
    """Nobody waits for this request any more."""


class StoreLine:
    """Sends signed requests, `at_once` at the same time; use it as a context manager.

    Args:
        at_once: how many requests.
        stall_s: how long a connection may move nothing, in seconds.
    """

    def __init__(self, at_once: int, stall_s: float) -> None:
        _hide_secrets()
        self._http = _Connections(at_once, stall_s)
        self._pool = futures.ThreadPoolExecutor(at_once, thread_name_prefix="modelkeep-store")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._http.clear()

    async def put(
        self, url: transfer_calls.TransferUrl, pieces: Callable[[], Iterator[bytes]]
    ) -> str:
        """Put a part and return the tag that the store gave it.

        Raises `StoreAway`, `StoreRefusal`, and whatever `pieces` raises in its thread.
        """
        return await self._again(lambda stop: self._put(url, _until(stop, pieces())))

    async def get(self, url: transfer_calls.TransferUrl) -> list[bytes]:
        """The range's bytes in blocks, checked; raises what `store_errors` has."""
        return await self._again(lambda stop: self._get(url, stop))

    async def _again(self, work: Callable[[threading.Event], _R]) -> _R:
        """Work, and once more after a moment if the store was there and failed soon.

        One that makes room for a new bucket, or has closed an idle connection, then serves.
        """
        for pause_s in _PAUSES_S:
            began = time.monotonic()
            try:
                return await self._run(work)
            except store_errors.StoreAway as failure:
                if not failure.was_reached or time.monotonic() - began > _SOON_S:
                    raise
            await asyncio.sleep(pause_s)
        return await self._run(work)

    async def _run(self, work: Callable[[threading.Event], _R]) -> _R:
        """Work in a thread; if cancelled, stop it and return when it has let everything go."""
        stop = threading.Event()
        doing = asyncio.get_running_loop().run_in_executor(self._pool, work, stop)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.gather(doing, return_exceptions=True)
            raise

    def _put(self, url: transfer_calls.TransferUrl, pieces: Iterator[bytes]) -> str:
        answer = self._send(url, pieces)
        answer.drain_conn()
        return str(answer.headers.get("etag", ""))

    def _get(self, url: transfer_calls.TransferUrl, stop: threading.Event) -> list[bytes]:
        answer = self._send(url, None)
        try:
            blocks = list(_until(stop, answer.stream(_BLOCK_BYTES)))
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as failure:
            raise store_errors.StoreAway(_reason(failure)) from None
        finally:
            answer.close()
        _check(blocks, url)
        return blocks

    def _send(
        self, url: transfer_calls.TransferUrl, pieces: Iterator[bytes] | None
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._http.request(
                url.method,
                url.url,
                body=pieces,
                headers=dict(url.headers),
                preload_content=False,
                redirect=False,
            )
            if answer.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                return answer
            text = answer.read(_ANSWER_BYTES)
            answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as failure:
            was_reached = not isinstance(failure, _UNREACHED)
            raise store_errors.StoreAway(
                _reason(failure), was_reached=was_reached
            ) from None  # its text may have the URL
        found = _CODE.search(text)
        refusal = store_errors.StoreRefusal(answer.status, found[1].decode() if found else "")
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise store_errors.StoreAway(str(refusal))
        raise refusal


def _until(stop: threading.Event, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if stop.is_set():
            raise _Stopped
        yield piece


def _check(blocks: list[bytes], url: transfer_calls.TransferUrl) -> None:
    found = sum(map(len, blocks))
    if found != url.end - url.start:
        raise store_errors.StoreDamage(f"{found} bytes instead of {url.end - url.start}")
    if url.crc32c is None:
        return
    crc32c = 0
    for block in blocks:
        crc32c = google_crc32c.extend(crc32c, block)
    if crc32c != url.crc32c:
        raise store_errors.StoreDamage(f"CRC32C {crc32c:08x} instead of {url.crc32c:08x}")


def _reason(failure: BaseException) -> str:
    """What went wrong first, without the URL that urllib3 tells with it."""
    for inner in (getattr(failure, "reason", None), failure.__cause__, *failure.args):
        if isinstance(inner, BaseException):
            return _reason(inner)
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    if isinstance(failure, urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer in time"
    return type(failure).__name__


class _Connections(urllib3.PoolManager):
    """Kept-alive connections that retry nothing: the caller asks the server for a URL anew.

    Certificates are checked against the system's store, or the file that SSL_CERT_FILE names.
    """

    def __init__(self, at_once: int, stall_s: float) -> None:
        super().__init__(
            maxsize=at_once,
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=stall_s),
            retries=False,
            cert_reqs="CERT_REQUIRED",
        )
        self._stall_s = stall_s

    def _new_pool(self, *args: Any, **kwargs: Any) -> urllib3.HTTPConnectionPool:
        pool = super()._new_pool(*args, **kwargs)
        pool.ConnectionCls = _sending_under(self._stall_s, pool.ConnectionCls)
        return pool


def _sending_under(timeout_s: float, connection_type: Any) -> Any:
    """A connection that sends under `timeout_s`; urllib3 sends under the connect time-out."""

    class Connection(connection_type):  # type: ignore[misc]
        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is None:
                self.connect()
            self.timeout = timeout_s
            super().request(*args, **kwargs)

    return Connection


class _WithoutQueries(logging.Filter):
    """Cuts what follows the `?` of a signed URL: urllib3 logs every request it sends."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without_query, record.args))
        return True


def _without_query(value: object) -> object:
    return re.sub(r"\?\S*", "?...", value) if isinstance(value, str) else value


def _hide_secrets() -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(one, _WithoutQueries) for one in logger.filters):
        logger.addFilter(_WithoutQueries())
