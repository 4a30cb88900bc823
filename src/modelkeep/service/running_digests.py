"""SHA-256 of blobs while their parts come in, perhaps over several streams at once."""

import asyncio
import collections
import contextlib
import functools
import hashlib
from collections.abc import AsyncIterator, Sequence

from modelkeep.domain import names
from modelkeep.service import hashing

_DIGESTS_KEPT = 4096


class RunningDigest:
    """SHA-256 of a blob whose parts this process hashes and stores.

    It is the digest of what the store has only if each part's bytes were hashed once, in order,
    and became durable by the same attempt: `_recorded` counts those that did, `spoil` ends it as
    soon as one did not, and either alone keeps a wrong digest from being answered.

    Several streams bring parts nearly in order, so an attempt waits for its turn. It waits only
    while every part before it is arriving as well. Those have their memory already, so whoever
    waits, waits for lower parts alone, and the lowest one for nothing but its client: waiting
    cannot lock the memory budget up. A client that stalls is waited for `patience_s` seconds.
    """

    def __init__(self, count: int, patience_s: float) -> None:
        self._count = count
        self._patience_s = patience_s
        self._hash = hashlib.sha256()
        self._taken = 0
        self._hashed = 0
        self._recorded = 0
        self._spoilt = False
        self._arriving: collections.Counter[int] = collections.Counter()
        self._changed = asyncio.Event()
        self._recording = asyncio.Lock()

    @property
    def spoilt(self) -> bool:
        """Whether it will never answer a digest."""
        return self._spoilt

    def begin(self, number: int) -> "Turn":
        """An attempt at a part, whose memory is reserved; it must `leave`."""
        self._arriving[number] += 1
        return Turn(self, number)

    async def advance(self, hasher: hashing.Hasher, number: int, buffers: Sequence[bytes]) -> bool:
        """Hash a part when its turn comes; False, and nothing is hashed, if it will not come."""
        if not await self._comes(number):
            return False
        self._taken = number
        try:
            await hasher.run(functools.partial(_update, self._hash, buffers))
        except BaseException:
            self.spoil()
            raise
        self._hashed = number
        self._wake()
        return True

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """One part is recorded inside the block.

        Were two at once, neither would be the last, whose record takes the digest along.
        """
        async with self._recording:
            yield

    def recorded(self) -> None:
        """Count a hashed part as durable."""
        self._recorded += 1

    def spoil(self) -> None:
        """Never answer a digest."""
        self._spoilt = True
        self._wake()

    def leave(self, number: int) -> None:
        """An attempt has been hashed, or will not be."""
        self._arriving[number] -= 1
        if not self._arriving[number]:
            del self._arriving[number]
        self._wake()

    def whole_with_one_more(self) -> str:
        """`sha256:{hex}` if only the last hashed part is not durable yet, else ''."""
        if self._spoilt or self._hashed != self._count or self._recorded != self._count - 1:
            return ""
        return f"sha256:{self._hash.hexdigest()}"

    async def _comes(self, number: int) -> bool:
        try:
            async with asyncio.timeout(self._patience_s):
                while self._may_come(number):
                    if number == self._hashed + 1:
                        return True
                    await self._changed.wait()
        except TimeoutError:
            return False
        return False

    def _may_come(self, number: int) -> bool:
        if self._spoilt or number <= self._taken:
            return False
        return all(self._arriving[before] for before in range(self._hashed + 1, number))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _update(digest: "hashlib._Hash", buffers: Sequence[bytes]) -> None:
    for buffer in buffers:
        digest.update(buffer)


class Turn:
    """One attempt at one part, in its place among the others.

    Attributes:
        hashed: whether the digest has this attempt's bytes.
    """

    def __init__(self, digest: RunningDigest, number: int) -> None:
        self._digest = digest
        self._number = number
        self._left = False
        self.hashed = False

    async def hash(self, hasher: hashing.Hasher, buffers: Sequence[bytes]) -> None:
        """Hash the bytes when their turn comes, if it comes."""
        try:
            self.hashed = await self._digest.advance(hasher, self._number, buffers)
        finally:
            self.leave()

    def leave(self) -> None:
        """Wait no more, nor have others wait for this attempt; may be called again."""
        if not self._left:
            self._left = True
            self._digest.leave(self._number)

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[str]:
        """The part is recorded inside the block, together with the digest that is yielded."""
        async with self._digest.recording():
            yield self._digest.whole_with_one_more() if self.hashed else ""

    def recorded(self) -> None:
        """The part is durable by this attempt."""
        if self.hashed:
            self._digest.recorded()
        else:
            self._digest.spoil()

    def failed(self) -> None:
        """The part is not durable by this attempt; what another one hashed is its own affair."""
        if self.hashed:
            self._digest.spoil()


class RunningDigests:
    """The running digests of this process by upload; the longest unused are forgotten.

    Args:
        patience_s: how long a part waits for those before it, in seconds.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._by_name: collections.OrderedDict[names.UploadName, RunningDigest] = (
            collections.OrderedDict()
        )

    def begin(self, name: names.UploadName, number: int, count: int) -> Turn:
        """An attempt at a part, whose memory is reserved."""
        found = self._by_name.get(name)
        if found is None or (number == 1 and found.spoilt):
            found = self._by_name[name] = RunningDigest(count, self._patience_s)
        self._by_name.move_to_end(name)
        if len(self._by_name) > _DIGESTS_KEPT:
            self._by_name.popitem(last=False)
        return found.begin(number)

    def forget(self, name: names.UploadName) -> None:
        """Drop a digest that is not needed any more."""
        self._by_name.pop(name, None)
