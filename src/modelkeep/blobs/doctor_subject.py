"""The store as a patient: what each check gets, and the two ways in which a check can fail."""

import dataclasses
import secrets
from collections.abc import Callable

import google_crc32c

from modelkeep.blobs import doctor_direct, store

_READ_BYTES = 1 << 20


class Missing(Exception):
    """The store does not offer it; the message says what it does instead."""


class Wrong(Exception):
    """The store offers it and does something else; the message says what."""


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """A store under examination, and all that was written to it, to be removed afterwards."""

    blobs: store.BlobStore
    direct: doctor_direct.Direct
    prefix: str = dataclasses.field(default_factory=lambda: f"doctor/{secrets.token_hex(8)}/")
    keys: list[str] = dataclasses.field(default_factory=list)
    multiparts: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def key(self, name: str) -> str:
        """A key that is removed at the end."""
        self.keys.append(f"{self.prefix}{name}")
        return self.keys[-1]

    async def put(self, name: str, body: bytes) -> str:
        """Store an object with its right checksum; its key."""
        key = self.key(name)
        await self.blobs.put(key, [body], google_crc32c.value(body))
        return key

    async def start(self, name: str) -> tuple[str, str]:
        """Begin a multipart upload that is aborted at the end; its key and id."""
        key = self.key(name)
        multipart_id = await self.blobs.start_multipart(key)
        self.multiparts.append((key, multipart_id))
        return key, multipart_id

    async def put_part(self, multipart: tuple[str, str], number: int, body: bytes) -> store.PartTag:
        """Store a part with its right checksum."""
        return await self.blobs.put_part(*multipart, number, [body], google_crc32c.value(body))

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length) of an object, at once."""
        chunks = self.blobs.read(key, offset, length, _READ_BYTES)
        return b"".join([chunk async for chunk in chunks])

    async def find_multipart(
        self, wanted: Callable[[store.OpenMultipart], bool]
    ) -> store.OpenMultipart | None:
        """The open multipart upload that is wanted, looked for in all pages as the reaper does."""
        mark = ""
        while True:
            page = await self.blobs.list_multiparts("", mark, 1000)
            for entry in page.entries:
                if wanted(entry):
                    return entry
            if not page.mark or page.mark == mark:
                return None
            mark = page.mark
