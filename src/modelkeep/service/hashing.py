"""Checksums of parts and digests of wholes, computed in threads."""

import asyncio
import functools
import hashlib
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import TypeVar

import google_crc32c

T = TypeVar("T")

EMPTY_SHA256 = f"sha256:{hashlib.sha256().hexdigest()}"

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed: the highest bit is the coefficient of x^0."""
_ONE = 1 << 31


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
