"""Direct transfer with an S3 store: presigned requests, and the list of a client's parts."""

import asyncio
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from concurrent import futures

from modelkeep.blobs import s3_connection, s3_errors, s3_presigned, s3_requests, transfers
from modelkeep.domain import errors

_THREADS = 4
_PAGE = 1000


class S3Transfers:
    """A `transfers.TransferStore` in one bucket of an S3 endpoint.

    Args:
        settings: how we reach the store.
        expires_s: how long a signed request is good, in seconds.
        public_endpoint: `host:port` at which clients reach the store; '' if they do not.
        public_secure: whether they reach it by TLS.
    """

    def __init__(
        self,
        settings: s3_connection.S3Settings,
        *,
        expires_s: int,
        public_endpoint: str = "",
        public_secure: bool = True,
    ) -> None:
        self._settings = settings
        self._public = dataclasses.replace(settings, endpoint=public_endpoint, secure=public_secure)
        self._expires_s = expires_s
        self._http = s3_connection.Connections(settings)
        self._requests = s3_requests.SignedRequests(settings, self._http)
        self._pool = futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-parts")

    @property
    def offered(self) -> bool:
        """See `transfers.TransferStore.offered`."""
        return bool(self._public.endpoint)

    def sign_part(
        self, key: str, multipart_id: str, number: int, *, size_bytes: int, crc32c: int
    ) -> transfers.SignedRequest:
        """See `transfers.TransferStore.sign_part`."""
        # The store checks the checksum against the body; the length keeps a body from being larger
        # than what the namespace's quota was asked for.
        headers = {
            "content-length": str(size_bytes),
            s3_requests.CRC32C_HEADER: s3_requests.crc32c_text(crc32c),
        }
        query = {"partNumber": str(number), "uploadId": multipart_id}
        return self._signed("PUT", key, query, headers)

    def sign_range(self, key: str, offset: int, length: int) -> transfers.SignedRequest:
        """See `transfers.TransferStore.sign_range`."""
        # Signed, because an object may hold other blobs as well.
        headers = {"range": f"bytes={offset}-{offset + length - 1}"}
        return self._signed("GET", key, {}, headers)

    async def list_parts(
        self, key: str, multipart_id: str, numbers: Sequence[int], known: int
    ) -> list[transfers.ListedPart]:
        """See `transfers.TransferStore.list_parts`."""
        listing = functools.partial(self._list, key, multipart_id, frozenset(numbers), known)
        try:
            started = self._pool.submit(listing)
        except RuntimeError as error:
            raise errors.Unavailable("The server is stopping; try again shortly.") from error
        return await asyncio.wrap_future(started)

    async def close(self) -> None:
        """See `transfers.TransferStore.close`."""
        await asyncio.to_thread(self._pool.shutdown)
        self._http.clear()

    def _signed(
        self, method: str, key: str, query: dict[str, str], headers: dict[str, str]
    ) -> transfers.SignedRequest:
        url = s3_presigned.presigned(
            self._public, method, key, expires_s=self._expires_s, query=query, headers=headers
        )
        return transfers.SignedRequest(method, url, headers)

    def _list(
        self, key: str, multipart_id: str, numbers: frozenset[int], known: int
    ) -> list[transfers.ListedPart]:
        with s3_errors.translated(self._settings):
            found = self._listed(key, multipart_id, known, max(numbers))
            return [part for part in found if part.number in numbers]

    def _listed(
        self, key: str, multipart_id: str, after: int, last: int
    ) -> Iterator[transfers.ListedPart]:
        while True:
            # Some stores keep several parts of one number, so a page of one may hide another.
            page = self._requests.list_parts(key, multipart_id, after, _PAGE)
            yield from page
            if len(page) < _PAGE or page[-1].number >= last or page[-1].number <= after:
                return
            after = page[-1].number
