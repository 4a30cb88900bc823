"""What direct transfer needs of an object store, beside what `store.BlobStore` has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that anybody may send to the store for a while, with these headers."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part that the store has of an open multipart upload; there may be several of one number."""

    number: int
    etag: str
    size_bytes: int


class TransferStore(Protocol):
    """Signs requests for clients, and tells which parts they brought."""

    @property
    def offered(self) -> bool:
        """Whether clients can be told an address of the store at all."""

    def sign_part(
        self, key: str, multipart_id: str, number: int, *, size_bytes: int, crc32c: int
    ) -> SignedRequest:
        """A PUT of one part, which the store refuses for any other size or CRC32C."""

    def sign_range(self, key: str, offset: int, length: int) -> SignedRequest:
        """A GET of bytes [offset, offset + length), which the store refuses for any others."""

    async def list_parts(
        self, key: str, multipart_id: str, numbers: Sequence[int], known: int
    ) -> list[ListedPart]:
        """Parts of these numbers that the store has.

        `known` is the number of a part below all of these that it certainly has, or 0: the list
        begins there, and MinIO takes the number of no other part.

        Raises `errors.NotFound` if it has no such multipart upload any more, `errors.Unavailable`.
        """

    async def close(self) -> None:
        """Release connections and threads."""
