"""A blob store in memory that behaves like S3, for tests that want speed and tiny parts."""

import datetime
import hashlib
import itertools
from collections.abc import AsyncGenerator, Sequence

from modelkeep.blobs import store
from modelkeep.domain import errors
from modelkeep.service import hashing


class MemoryBlobStore:
    """Keeps `objects` by key and, by multipart id, the parts of what is not completed.

    `modified_at` has an instant for each key and each multipart id; a test may move it back.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.multiparts: dict[str, dict[int, bytes]] = {}
        self.modified_at: dict[str, datetime.datetime] = {}
        self.parts_put: list[tuple[str, int]] = []
        self._ids = itertools.count(1)

    async def check(self) -> None:
        """Always well."""

    async def put(self, key: str, body: store.Buffers, crc32c: int) -> None:
        self.objects[key] = _checked(body, crc32c)
        self.modified_at[key] = _now()
        self.parts_put.append((key, 1))

    async def start_multipart(self, key: str) -> str:
        multipart_id = f"{key}#{next(self._ids)}"
        self.multiparts[multipart_id] = {}
        self.modified_at[multipart_id] = _now()
        return multipart_id

    async def put_part(
        self, key: str, multipart_id: str, number: int, body: store.Buffers, crc32c: int
    ) -> store.PartTag:
        if multipart_id not in self.multiparts:
            raise errors.NotFound("no such upload")
        content = _checked(body, crc32c)
        self.multiparts[multipart_id][number] = content
        self.parts_put.append((key, number))
        return store.PartTag(number, _etag(content), crc32c)

    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[store.PartTag]
    ) -> None:
        if multipart_id not in self.multiparts:
            await self.stat(key)
            return
        stored = self.multiparts[multipart_id]
        for part in parts:
            if part.number not in stored or _etag(stored[part.number]) != part.etag:
                raise errors.FailedPrecondition("InvalidPart", reason="STORE_REFUSED")
        self.objects[key] = b"".join(stored[part.number] for part in parts)
        self.modified_at[key] = _now()
        del self.multiparts[multipart_id]

    async def abort_multipart(
        self,
        key: str,  # noqa: ARG002 - the protocol has it
        multipart_id: str,
    ) -> None:
        self.multiparts.pop(multipart_id, None)

    async def stat(self, key: str) -> store.StoredObject:
        return store.StoredObject(key, len(self._object(key)), self.modified_at[key])

    async def read(
        self,
        key: str,
        offset: int,
        length: int,
        chunk_bytes: int,
        crc32c: int | None = None,  # noqa: ARG002 - for a store that verifies
    ) -> AsyncGenerator[bytes, None]:
        end = offset + length
        if end > len(self._object(key)):
            raise errors.DataLoss("the object ends before the range does")
        for start in range(offset, end, chunk_bytes):
            yield self._object(key)[start : min(start + chunk_bytes, end)]

    async def copy(self, source_key: str, key: str, size_bytes: int) -> AsyncGenerator[int, None]:
        self.objects[key] = self._object(source_key)
        self.modified_at[key] = _now()
        yield size_bytes

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        return [
            store.StoredObject(key, len(self.objects[key]), self.modified_at[key])
            for key in keys[:limit]
        ]

    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        found = sorted(id_ for id_ in self.multiparts if id_.startswith(prefix) and id_ > mark)
        entries = [
            store.OpenMultipart(id_.rpartition("#")[0], id_, self.modified_at[id_])
            for id_ in found[:limit]
        ]
        return store.MultipartPage(entries, found[limit - 1] if len(found) > limit else "")

    async def close(self) -> None:
        """Nothing to release."""

    def _object(self, key: str) -> bytes:
        if key not in self.objects:
            raise errors.NotFound(f"no object {key}")
        return self.objects[key]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _checked(body: store.Buffers, crc32c: int) -> bytes:
    content = b"".join(body)
    if hashing.crc32c_of([content]) != crc32c:
        raise errors.DataLoss("the body does not have its checksum")
    return content


def _etag(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324 - what S3 does
