"""How small blobs lie in the store: many in one object, a pack; one that came alone by itself."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import google_crc32c

from modelkeep.service import upload_changes
from modelkeep.storage import files as file_rows
from modelkeep.storage import packs


@dataclass(frozen=True, slots=True)
class Laid:
    """An object to be stored: its key, its bytes with their CRC32C, and the blobs in it."""

    key: str
    content: bytes
    crc32c: int
    blobs: tuple[file_rows.StoredBlob, ...]

    @property
    def is_pack(self) -> bool:
        """Whether several blobs are in it."""
        return len(self.blobs) > 1

    def as_pack(self, namespace_id: int) -> packs.Pack:
        """The row of it, if it is one."""
        return packs.Pack(self.key, namespace_id, len(self.content))


def laid_out(contents: Mapping[str, bytes]) -> Laid:
    """Lay blobs, given by digest, one behind the other in the order given; at least one."""
    prefix = packs.KEY_PREFIX if len(contents) > 1 else upload_changes.KEY_PREFIX
    key, offset = f"{prefix}{secrets.token_hex(16)}", 0
    blobs: list[file_rows.StoredBlob] = []
    # One without bytes comes last: no two blobs begin at the same place.
    ordered = sorted(contents.items(), key=lambda entry: not entry[1])
    for digest, content in ordered:
        crc32c = google_crc32c.value(content)
        blobs.append(file_rows.StoredBlob(digest, len(content), key, crc32c, storage_offset=offset))
        offset += len(content)
    whole = b"".join(content for _, content in ordered)
    return Laid(key, whole, google_crc32c.value(whole), tuple(blobs))
