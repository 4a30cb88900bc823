"""Checksums of parts and digests of wholes, computed in threads."""

import asyncio
import collections
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent import futures
from typing import TypeVar

import google_crc32c

from modelkeep.domain import names

T = TypeVar("T")

EMPTY_SHA256 = f"sha256:{hashlib.sha256().hexdigest()}"

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed: the highest bit is the coefficient of x^0."""
_ONE = 1 << 31
_DIGESTS_KEPT = 4096


class Hasher:
    """A pool of threads for hashing; the C code releases the interpreter lock."""

    def __init__(self, threads: int) -> None:
        self._pool = futures.ThreadPoolExecutor(threads, thread_name_prefix="hash")

    async def run(self, call: Callable[[], T]) -> T:
        """Call in a thread; if cancelled, return only when the thread is done with its buffers."""
        started = asyncio.get_running_loop().run_in_executor(self._pool, call)
        try:
            return await asyncio.shield(started)
        except asyncio.CancelledError:
            await asyncio.wait([started])
            raise

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)


def crc32c_of(buffers: Iterable[bytes]) -> int:
    """CRC32C of the buffers one after another."""
    crc32c = 0
    for buffer in buffers:
        crc32c = google_crc32c.extend(crc32c, buffer)
    return crc32c


def combined_crc32c(pieces: Iterable[tuple[int, int]]) -> int:
    """CRC32C of a whole from (crc32c, size in bytes) of its consecutive pieces.

    crc(A + B) = crc(A) * x^(8 * len(B)) + crc(B), modulo the polynomial: zlib's crc32_combine.
    """
    whole = 0
    for crc32c, size_bytes in pieces:
        whole = _multiplied(_power_of_x(8 * size_bytes), whole) ^ crc32c
    return whole


def _multiplied(a: int, b: int) -> int:
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@functools.lru_cache(maxsize=256)
def _power_of_x(exponent: int) -> int:
    power, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            power = _multiplied(square, power)
        square = _multiplied(square, square)
        exponent >>= 1
    return power


class RunningDigest:
    """SHA-256 of a blob whose parts this process hashes and stores one after another.

    It is the digest of what the store has only if each part's bytes were hashed once, in order,
    and became durable by the same attempt: `recorded` counts those that did, `spoil` ends it as
    soon as one did not, and either alone keeps a wrong digest from being answered.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._recorded = 0
        self._spoilt = False
        self._turn = asyncio.Lock()

    async def advance(self, hasher: Hasher, number: int, buffers: Sequence[bytes]) -> bool:
        """Hash a part; False, and nothing is hashed, if it is not its turn. First come first."""
        async with self._turn:
            if self._spoilt or number != self._hashed + 1:
                return False
            await hasher.run(functools.partial(_update, self._hash, buffers))
            self._hashed = number
            return True

    def recorded(self) -> None:
        """Count a hashed part as durable."""
        self._recorded += 1

    def spoil(self) -> None:
        """Never answer a digest."""
        self._spoilt = True

    @property
    def spoilt(self) -> bool:
        """Whether it will never answer a digest."""
        return self._spoilt

    def whole_with_one_more(self) -> str:
        """`sha256:{hex}` if only the last hashed part is not durable yet, else ''."""
        if self._spoilt or self._hashed != self._count or self._recorded != self._count - 1:
            return ""
        return f"sha256:{self._hash.hexdigest()}"


def _update(digest: "hashlib._Hash", buffers: Sequence[bytes]) -> None:
    for buffer in buffers:
        digest.update(buffer)


class RunningDigests:
    """The running digests of this process by upload; the longest unused are forgotten."""

    def __init__(self) -> None:
        self._by_name: collections.OrderedDict[names.UploadName, RunningDigest] = (
            collections.OrderedDict()
        )

    def of(self, name: names.UploadName, number: int, count: int) -> RunningDigest | None:
        """The digest that a part may advance; a new one for part 1."""
        found = self._by_name.get(name)
        if number == 1 and (found is None or found.spoilt):
            found = self._by_name[name] = RunningDigest(count)
        if found is not None:
            self._by_name.move_to_end(name)
        if len(self._by_name) > _DIGESTS_KEPT:
            self._by_name.popitem(last=False)
        return found

    def forget(self, name: names.UploadName) -> None:
        """Drop a digest that is not needed any more."""
        self._by_name.pop(name, None)
