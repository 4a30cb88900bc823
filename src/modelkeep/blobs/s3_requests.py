"""The S3 requests that carry bodies or checksums, signed without hashing the body.

The SDK's own uploads hash every body with SHA-256 in the uploading thread. We sign
UNSIGNED-PAYLOAD and send `x-amz-checksum-crc32c`, which the store checks against what arrived.
"""

import base64
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib import parse
from xml.etree import ElementTree as ET

import minio.credentials.credentials
import minio.datatypes
import minio.error
import minio.helpers
import minio.signer
import minio.time
import minio.xml
import urllib3

from modelkeep.blobs import s3_connection, store, transfers

CRC32C_HEADER = "x-amz-checksum-crc32c"
_SOURCE_HEADER = "x-amz-copy-source"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_PIECE_BYTES = 1 << 20
_SUCCESS = frozenset({200, 204})


class Cancelled(Exception):
    """The body was not sent to its end because nobody waits for it any more."""


class Body:
    """Buffers on their way to a socket; iterable again for a retry, until it is cancelled.

    Sent piece by piece, so that a time-out measures progress and a cancellation is noticed.
    """

    def __init__(self, buffers: store.Buffers) -> None:
        self._buffers = buffers
        self._cancelled = threading.Event()
        self.size_bytes = sum(len(buffer) for buffer in buffers)

    def cancel(self) -> None:
        """Stop at the next piece; the connection is then closed and the store drops the rest."""
        self._cancelled.set()

    def __iter__(self) -> Iterator[memoryview]:
        for buffer in self._buffers:
            view = memoryview(buffer)
            for start in range(0, len(view), _PIECE_BYTES):
                if self._cancelled.is_set():
                    raise Cancelled
                yield view[start : start + _PIECE_BYTES]


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes [start, end) of an object."""

    key: str
    start: int
    end: int


class SignedRequests:
    """Synchronous uploads to one bucket; raises the SDK's and urllib3's errors."""

    def __init__(self, settings: s3_connection.S3Settings, http: urllib3.PoolManager) -> None:
        self._bucket = settings.bucket
        self._region = settings.region
        self._url = minio.helpers.BaseURL(settings.url, settings.region)
        self._keys = minio.credentials.credentials.Credentials(
            settings.access_key, settings.secret_key
        )
        self._http = http

    def put(self, key: str, body: Body, crc32c: int) -> None:
        """PutObject."""
        self._send("PUT", key, body=body, headers={CRC32C_HEADER: crc32c_text(crc32c)})

    def copy(self, source_key: str, key: str) -> None:
        """CopyObject; a failure may come inside an answer of status 200."""
        _well_done(self._send("PUT", key, headers={_SOURCE_HEADER: self._place(source_key)}))

    def copy_part(self, source: Range, key: str, multipart_id: str, number: int) -> store.PartTag:
        """UploadPartCopy."""
        answer = self._send(
            "PUT",
            key,
            query={"partNumber": str(number), "uploadId": multipart_id},
            headers={
                _SOURCE_HEADER: self._place(source.key),
                f"{_SOURCE_HEADER}-range": f"bytes={source.start}-{source.end - 1}",
            },
        )
        return store.PartTag(number, _text(_well_done(answer), "ETag").strip('"'), None)

    def start_multipart(self, key: str, *, checksummed: bool = True) -> str:
        """CreateMultipartUpload, announcing the checksum that each part will carry, if it will."""
        headers = {"content-type": "application/octet-stream"}
        if checksummed:
            headers["x-amz-checksum-algorithm"] = "CRC32C"
        answer = self._send("POST", key, query={"uploads": ""}, headers=headers)
        return _text(_xml(answer), "UploadId")

    def put_part(
        self, key: str, multipart_id: str, number: int, body: Body, crc32c: int
    ) -> store.PartTag:
        """UploadPart."""
        answer = self._send(
            "PUT",
            key,
            query={"partNumber": str(number), "uploadId": multipart_id},
            body=body,
            headers={CRC32C_HEADER: crc32c_text(crc32c)},
        )
        return store.PartTag(number, answer.headers.get("etag", "").strip('"'), crc32c)

    def complete_multipart(
        self, key: str, multipart_id: str, parts: Iterable[store.PartTag]
    ) -> None:
        """CompleteMultipartUpload; AWS can report a failure inside an answer of status 200."""
        answer = self._send(
            "POST",
            key,
            query={"uploadId": multipart_id},
            body=Body([_part_list(parts)]),
            headers={"content-type": "application/xml"},
        )
        _well_done(answer)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """AbortMultipartUpload."""
        self._send("DELETE", key, query={"uploadId": multipart_id})

    def list_parts(
        self, key: str, multipart_id: str, after: int, limit: int
    ) -> list[transfers.ListedPart]:
        """ListParts, of those whose number is above `after`."""
        query = {
            "uploadId": multipart_id,
            "max-parts": str(limit),
            "part-number-marker": str(after),
        }
        listed = minio.datatypes.ListPartsResult(self._send("GET", key, query=query))
        return [_listed_part(part) for part in listed.parts]

    def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        """ListMultipartUploads; a mark is the two markers that the store gave."""
        query = {"uploads": "", "max-uploads": str(limit), "encoding-type": "url"}
        if prefix:
            query["prefix"] = prefix
        query |= json.loads(mark) if mark else {}
        answer = self._send("GET", None, query=query)
        listed = minio.datatypes.ListMultipartUploadsResult(answer)
        entries = [_open_multipart(upload) for upload in listed.uploads]
        return store.MultipartPage(entries, _mark(answer) if listed.is_truncated else "")

    def _place(self, key: str) -> str:
        return parse.quote(f"/{self._bucket}/{key}")

    def _send(
        self,
        method: str,
        key: str | None,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        url = self._url.build(
            method=method,
            region=self._region,
            bucket_name=self._bucket,
            object_name=key,
            query_params=dict(query or {}),
        )
        # A stated length keeps urllib3 from chunked transfer encoding, which S3 refuses.
        size_bytes = body.size_bytes if body else 0
        signed = self._signed(method, url, {**(headers or {}), "content-length": str(size_bytes)})
        answer = self._http.urlopen(method, parse.urlunsplit(url), body=body, headers=signed)
        if answer.status not in _SUCCESS:
            raise _refusal(answer)
        return answer

    def _signed(
        self, method: str, url: parse.SplitResult, headers: Mapping[str, str]
    ) -> dict[str, str]:
        now = minio.time.utcnow()
        signed = minio.signer.sign_v4_s3(
            method=method,
            url=url,
            region=self._region,
            headers={
                **headers,
                "host": url.netloc,
                "x-amz-date": minio.time.to_amz_date(now),
                "x-amz-content-sha256": _UNSIGNED,
            },
            credentials=self._keys,
            content_sha256=_UNSIGNED,
            date=now,
        )
        return {name: str(value) for name, value in signed.items()}


def crc32c_text(crc32c: int) -> str:
    """The checksum as S3 writes it: base64 of the four bytes, most significant first."""
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def _open_multipart(upload: minio.datatypes.Upload) -> store.OpenMultipart:
    return store.OpenMultipart(upload.object_name, upload.upload_id or "", upload.initiated_time)


def _listed_part(part: minio.datatypes.Part) -> transfers.ListedPart:
    return transfers.ListedPart(part.part_number, part.etag.strip('"'), part.size or 0)


def _mark(answer: urllib3.BaseHTTPResponse) -> str:
    # SeaweedFS gives the second marker only; AWS and MinIO give both. Each is sent back as given.
    listed = _xml(answer)
    key = minio.xml.findtext(listed, "NextKeyMarker")
    multipart_id = minio.xml.findtext(listed, "NextUploadIdMarker")
    markers = {"upload-id-marker": multipart_id or ""}
    return json.dumps(markers | ({"key-marker": parse.unquote_plus(key)} if key else {}))


def _part_list(parts: Iterable[store.PartTag]) -> bytes:
    root = ET.Element("CompleteMultipartUpload")
    for part in sorted(parts, key=lambda tag: tag.number):
        element = ET.SubElement(root, "Part")
        ET.SubElement(element, "PartNumber").text = str(part.number)
        ET.SubElement(element, "ETag").text = f'"{part.etag}"'
        if part.crc32c is not None:
            ET.SubElement(element, "ChecksumCRC32C").text = crc32c_text(part.crc32c)
    return ET.tostring(root)


def _refusal(answer: urllib3.BaseHTTPResponse) -> minio.error.MinioException:
    if answer.data.lstrip().startswith(b"<") and b"<Error" in answer.data:
        return minio.error.S3Error.fromxml(answer)
    return minio.error.ServerError(f"HTTP status {answer.status}", answer.status)


def _well_done(answer: urllib3.BaseHTTPResponse) -> ET.Element:
    found = _xml(answer)
    if found.tag.endswith("Error"):
        raise minio.error.S3Error.fromxml(answer)
    return found


def _xml(answer: urllib3.BaseHTTPResponse) -> ET.Element:
    return ET.fromstring(answer.data)  # noqa: S314 - our own store's answer


def _text(element: ET.Element, name: str) -> str:
    return minio.xml.findtext(element, name, strict=True) or ""
