"""Reading a range of an object in chunks of exact size, over connections that may break."""

import contextlib
import re
import threading
from http import HTTPStatus

import minio
import minio.error
import urllib3
import urllib3.exceptions

from modelkeep.domain import errors

_BROKEN = (urllib3.exceptions.HTTPError, OSError)
_TOTAL = re.compile(r"bytes (\d+)-\d+/(\d+)")


class RangeSource:
    """Synchronous reader of bytes [offset, offset + length) of one object, in exact chunks.

    A connection that breaks is opened again where it broke, at most `attempts` times in a row
    without a chunk between.
    """

    def __init__(
        self,
        client: minio.Minio,
        bucket: str,
        key: str,
        *,
        offset: int,
        length: int,
        chunk_bytes: int,
        attempts: int,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._position = offset
        self._end = offset + length
        self._chunk_bytes = chunk_bytes
        self._attempts = attempts
        self._response: urllib3.BaseHTTPResponse | None = None
        self._etag: str | None = None
        self._stopped = threading.Event()

    @property
    def exhausted(self) -> bool:
        """Whether every chunk was read, or nobody wants more."""
        return self._position >= self._end or self._stopped.is_set()

    def next_chunk(self) -> bytes:
        """Read the next chunk, `chunk_bytes` long unless it is the last."""
        size = min(self._chunk_bytes, self._end - self._position)
        for attempt in range(1, self._attempts + 1):
            response = self._response or self._open()
            try:
                return self._read(response, size)
            except _BROKEN:
                self.close()
                if self._stopped.is_set() or attempt == self._attempts:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def stop(self) -> None:
        """Make a read under way in another thread end at once; call `close` when it has."""
        self._stopped.set()
        response = self._response
        if response is not None:
            # ValueError, RuntimeError, OSError: it has just ended by itself.
            with contextlib.suppress(ValueError, RuntimeError, OSError):
                response.shutdown()

    def close(self) -> None:
        """Close the connection, unless the range was read to its end and it is kept alive."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _read(self, response: urllib3.BaseHTTPResponse, size: int) -> bytes:
        self._response = response
        if self._stopped.is_set():  # before there was a response that `stop` could shut down
            raise urllib3.exceptions.IncompleteRead(0, size)
        chunk = response.read(size, decode_content=False)
        if len(chunk) < size:
            raise urllib3.exceptions.IncompleteRead(len(chunk), size - len(chunk))
        self._position += size
        return chunk

    def _open(self) -> urllib3.BaseHTTPResponse:
        try:
            response = self._client.get_object(
                self._bucket,
                self._key,
                offset=self._position,
                length=self._end - self._position,
            )
        except minio.error.S3Error as error:
            if error.code == "InvalidRange":
                raise self._too_short() from error
            raise
        self._check(response)
        return response

    def _check(self, response: urllib3.BaseHTTPResponse) -> None:
        etag = response.headers.get("etag")
        self._etag = self._etag or etag
        if etag == self._etag and self._object_bytes(response) >= self._end:
            return
        response.close()
        if etag != self._etag:
            raise errors.DataLoss(f"Object {self._key} was replaced while it was being read.")
        raise self._too_short()

    def _object_bytes(self, response: urllib3.BaseHTTPResponse) -> int:
        """Size of the whole object; -1 if the answer is not the range that was asked for."""
        total = _TOTAL.fullmatch(response.headers.get("content-range", ""))
        if total and int(total[1]) == self._position:
            return int(total[2])
        # A server may ignore a range and send everything (RFC 9110, section 14.2).
        whole = response.status == HTTPStatus.OK and self._position == 0
        return int(response.headers.get("content-length", -1)) if whole else -1

    def _too_short(self) -> errors.DataLoss:
        return errors.DataLoss(
            f"The store has no bytes {self._position} to {self._end} of object {self._key}."
        )
