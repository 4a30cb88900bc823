"""Blobs: verified bytes, known by their digest."""

from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob's identity."""

    digest: str
    size_bytes: int

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.digest("digest", self.digest)
            found.number("size_bytes", self.size_bytes, 0, limits.MAX_BLOB_BYTES)


@dataclass(frozen=True, slots=True)
class DigestSet:
    """Digests to look for, 1 to `limits.FIND_MISSING`; each counts once, in the order given."""

    digests: tuple[str, ...]

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("digests", self.digests, limits.FIND_MISSING, least=1)
            for n, digest in enumerate(self.digests[: limits.FIND_MISSING]):
                found.digest(f"digests[{n}]", digest)

    def without(self, held: "set[str] | dict[str, int]") -> tuple[str, ...]:
        """Those that are not held, each once."""
        return tuple(digest for digest in dict.fromkeys(self.digests) if digest not in held)


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes of a blob to read: from `offset`, at most `limit` of them; 0 is to the end."""

    offset: int = 0
    limit: int = 0

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("offset", self.offset, 0, limits.INT64_MAX)
            found.number("limit", self.limit, 0, limits.INT64_MAX)

    def length_in(self, size_bytes: int) -> int:
        """Number of bytes to read of a blob of this size, or raise `errors.OutOfRange`."""
        if self.offset > size_bytes:
            raise errors.OutOfRange(
                f"offset {self.offset} is beyond the end: the blob has {size_bytes} bytes",
                size_bytes=size_bytes,
            )
        left = size_bytes - self.offset
        return min(self.limit, left) if self.limit else left


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a blob on their way out, with their CRC32C."""

    offset: int
    content: bytes
    crc32c: int
    blob: Descriptor | None = None
    """The whole blob's identity; with the first chunk only."""
