"""SHA-256 of blobs while their parts come in, perhaps over several streams at once."""

import asyncio
import collections
import contextlib
import functools
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from modelkeep.domain import names
from modelkeep.service import budget, hashing

_DIGESTS_KEPT = 4096
_MOST_AHEAD = 64
"""Parts; more than so many never arrive together."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a part waits to be hashed, in seconds, for parts that arrive or have not begun."""

    arriving_s: float = 5.0
    coming_s: float = 1.0


class RunningDigest:
    """SHA-256 of a blob whose parts this process hashes and stores.

    It is the digest of what the store has only if each part's bytes were hashed once, in order,
    and became durable by the same attempt: `_recorded` counts those that did, `spoil` ends it as
    soon as one did not, and either alone keeps a wrong digest from being answered.

    Several streams bring parts nearly in order, so an attempt waits for its turn:

    - `patience.arriving_s` while every part before it is arriving as well. Those have their memory
      already, so whoever waits, waits for lower parts alone, and the lowest one for nothing but
      its client: waiting cannot lock the memory budget up.
    - `patience.coming_s` if some have not begun, as long as nobody waits for memory: they will
      find room. As soon as somebody does, or one of them gave up, the turn is over.
    """

    def __init__(self, count: int, patience: "Patience", memory: budget.MemoryBudget) -> None:
        self._count = count
        self._patience = patience
        self._memory = memory
        self._hash = hashlib.sha256()
        self._taken = 0
        self._hashed = 0
        self._recorded = 0
        self._spoilt = False
        self._arriving: collections.Counter[int] = collections.Counter()
        self._gone: set[int] = set()
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
            self._gone.add(number)
        self._wake()

    def whole_with_one_more(self) -> str:
        """`sha256:{hex}` if only the last hashed part is not durable yet, else ''."""
        if self._spoilt or self._hashed != self._count or self._recorded != self._count - 1:
            return ""
        return f"sha256:{self._hash.hexdigest()}"

    async def _comes(self, number: int) -> bool:
        began_s = time.monotonic()
        with self._memory.watched(self._wake):
            while (left_s := began_s + self._worth_s(number) - time.monotonic()) > 0:
                if number == self._hashed + 1:
                    return True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await self._changed.wait()
        return False

    def _worth_s(self, number: int) -> float:
        """How long a part may wait in all, in seconds, as things stand."""
        if self._spoilt or number <= self._taken or number - self._hashed > _MOST_AHEAD:
            return 0
        before = range(self._hashed + 1, number)
        if all(self._arriving[one] for one in before):
            return self._patience.arriving_s
        gave_up = any(one in self._gone and not self._arriving[one] for one in before)
        return 0 if gave_up or self._memory.waiting else self._patience.coming_s

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
        patience: how long a part waits for those before it.
        memory: what the parts are kept in.
    """

    def __init__(self, patience: Patience, memory: budget.MemoryBudget) -> None:
        self._patience = patience
        self._memory = memory
        self._by_name: collections.OrderedDict[names.UploadName, RunningDigest] = (
            collections.OrderedDict()
        )

    def open(self, name: names.UploadName, count: int, *, has_parts: bool) -> None:
        """A stream begins; what another process has parts of already is not hashed here."""
        found = self._by_name.get(name)
        if found is None or (found.spoilt and not has_parts):
            found = self._by_name[name] = RunningDigest(count, self._patience, self._memory)
            if has_parts:
                found.spoil()
        self._by_name.move_to_end(name)
        if len(self._by_name) > _DIGESTS_KEPT:
            self._by_name.popitem(last=False)

    def begin(self, name: names.UploadName, number: int, count: int) -> Turn:
        """An attempt at a part, whose memory is reserved; its stream was opened before."""
        found = self._by_name.get(name)
        if found is None:  # forgotten meanwhile
            found = RunningDigest(count, self._patience, self._memory)
            found.spoil()
        return found.begin(number)

    def forget(self, name: names.UploadName) -> None:
        """Drop a digest that is not needed any more."""
        self._by_name.pop(name, None)
