"""What the registry needs of an object store, and nothing more.

Keys are opaque and chosen by the server. Every method raises `errors.Unavailable` when the store
does not answer, `errors.FailedPrecondition` when it refuses our keys or has no such bucket, and
`errors.NotFound` when the object or multipart upload is not there. Checksums are CRC32C values as
unsigned 32-bit integers.

A cancelled call returns only when no byte of its body is in use any more: the caller may then
reuse or release the buffers.
"""

import datetime
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Buffers = Sequence[bytes | memoryview]
"""The body of one request: consecutive pieces, sent as they are, never joined.

Pieces of about 1 MiB are best; `bytes` are checksummed without a copy, memoryviews are not.
"""


@dataclass(frozen=True, slots=True)
class PartTag:
    """A stored part of a multipart upload: its number, from 1, the store's tag and its CRC32C.

    All three are needed to complete the upload, so all three are kept with the upload's parts. Of a
    part that the store itself copied there is no CRC32C.
    """

    number: int
    etag: str
    crc32c: int | None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the store lists it; `modified_at` is None if the store does not say."""

    key: str
    size_bytes: int
    modified_at: datetime.datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OpenMultipart:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    multipart_id: str
    started_at: datetime.datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MultipartPage:
    """Some open multipart uploads, and the mark that the next page begins at; '' for no more."""

    entries: Sequence[OpenMultipart]
    mark: str


class BlobStore(Protocol):
    """An S3-compatible store, seen through the dozen operations we use."""

    async def check(self) -> None:
        """Raise unless the bucket exists and answers with these credentials."""

    async def put(self, key: str, body: Buffers, crc32c: int) -> None:
        """Store a whole object in one request, replacing what was there; durable on return.

        Raises `errors.DataLoss` if the body that arrived does not have this checksum.
        """

    async def start_multipart(self, key: str) -> str:
        """Begin a multipart upload and return the store's id for it."""

    async def put_part(
        self, key: str, multipart_id: str, number: int, body: Buffers, crc32c: int
    ) -> PartTag:
        """Store part `number` (from 1); durable on return. Sent again, the last one counts.

        Raises `errors.DataLoss` if the body that arrived does not have this checksum.
        """

    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[PartTag]
    ) -> None:
        """Make the object of these parts, in number order. Idempotent if the object is there."""

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Forget a multipart upload and its parts; no error if it is already gone."""

    async def stat(self, key: str) -> StoredObject:
        """Size of one object, and when it was stored."""

    def read(
        self,
        key: str,
        offset: int,
        length: int,
        chunk_bytes: int,
        crc32c: int | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield exactly bytes [offset, offset + length), `chunk_bytes` at a time, the last less.

        `crc32c` is what the range should have, if the caller knows; a store that verifies keeps
        back the last chunk until it matches. A length of 0 yields nothing and asks nothing. Raises
        `errors.DataLoss` if the object ends before the range does. Close the generator to stop
        early (`contextlib.aclosing`): that frees its connection.
        """

    def copy(self, source_key: str, key: str, size_bytes: int) -> AsyncGenerator[int, None]:
        """Have the store copy an object of so many bytes to another key.

        Yields how many more bytes are copied, and ends when the whole is durable: nothing is there
        before. The bytes do not pass here, so what the copy has is known once it is read. Raises
        `errors.NotFound` if there is no such object. Close the generator to give the copy up.
        """

    async def delete(self, key: str) -> None:
        """Delete an object; no error if it is already gone."""

    async def list_page(self, prefix: str, after: str, limit: int) -> list[StoredObject]:
        """Objects whose key starts with `prefix` and sorts after `after`, at most `limit`."""

    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> MultipartPage:
        """Open multipart uploads of keys that start with `prefix`, at most `limit` at a time.

        Their order, and the mark that a page ends with, are the store's own. A page may have fewer
        entries, even none, and still be followed by others. Some stores (MinIO) know no prefixes
        but '' and a whole key.
        """

    async def close(self) -> None:
        """Release connections and threads."""
