"""What the doctor asks of an endpoint besides the operations of a `store.BlobStore`.

Synchronous; raises the domain's errors.
"""

import datetime
import email.utils
import secrets
from collections.abc import Mapping

import minio
import minio.error
import urllib3

from modelkeep.blobs import s3_connection, s3_errors, s3_presigned, s3_requests, store

_EXPIRY_S = 300
_SUCCESS = frozenset({200, 206})


class Direct:
    """One endpoint by presigned URLs, as a client would reach it that has no keys."""

    def __init__(self, settings: s3_connection.S3Settings) -> None:
        self._settings = settings
        self._http = s3_connection.Connections(settings)
        self._client = minio.Minio(
            settings.endpoint,
            settings.access_key,
            settings.secret_key,
            secure=settings.secure,
            region=settings.region,
            http_client=self._http,
        )

    def skew_s(self) -> float | None:
        """Seconds by which the store's clock is ahead of ours; None if it does not tell its time.

        The store tells whole seconds, so that a second either way means nothing.
        """
        with s3_errors.translated(self._settings):
            answer = self._http.request("GET", self._settings.url)
        told = answer.headers.get("date")
        if told is None:
            return None
        ours = datetime.datetime.now(datetime.UTC)
        return (email.utils.parsedate_to_datetime(told) - ours).total_seconds()

    def try_bucket(self) -> None:
        """Make a bucket that nobody has, and remove it."""
        name = f"modelkeep-doctor-{secrets.token_hex(8)}"
        with s3_errors.translated(self._settings):
            self._client.make_bucket(name, location=self._settings.region)
            self._client.remove_bucket(name)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """What a presigned GET answers that asks for bytes [offset, offset + length)."""
        url = s3_presigned.presigned(self._settings, "GET", key, expires_s=_EXPIRY_S)
        headers = {"range": f"bytes={offset}-{offset + length - 1}"}
        with s3_errors.translated(self._settings):
            return self._send("GET", url, headers).data

    def put_part(
        self, multipart: tuple[str, str], number: int, body: bytes, crc32c: int
    ) -> store.PartTag:
        """Store a part by a presigned PUT that is bound to this checksum."""
        key, multipart_id = multipart
        headers = {s3_requests.CRC32C_HEADER: s3_requests.crc32c_text(crc32c)}
        url = s3_presigned.presigned(
            self._settings,
            "PUT",
            key,
            expires_s=_EXPIRY_S,
            query={"partNumber": str(number), "uploadId": multipart_id},
            headers=headers,
        )
        with s3_errors.translated(self._settings):
            answer = self._send("PUT", url, headers, body)
        return store.PartTag(number, answer.headers.get("etag", "").strip('"'), crc32c)

    def close(self) -> None:
        """Release the connections."""
        self._http.clear()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        answer = self._http.request(method, url, headers=dict(headers), body=body)
        if answer.status in _SUCCESS:
            return answer
        if b"<Error" in answer.data:
            raise minio.error.S3Error.fromxml(answer)
        raise minio.error.ServerError(f"HTTP status {answer.status}", answer.status)
