"""What is missing of one upload: handed out to streams in order, and counted as it arrives."""

import collections
from collections.abc import Iterable

from modelkeep.client import records


class Filling:
    """The parts of one upload that are not durable, numbered from 0, and how much is done.

    Several streams take one part after the other, so that parts reach the server nearly in order
    and it can hash them as they come. One stream alone takes all that follow one another.

    Args:
        upload: as it stands.
        streams: how many streams there shall be at most.
    """

    def __init__(self, upload: records.Upload, streams: int) -> None:
        self._size = upload.size_bytes
        self._part_bytes = max(1, upload.part_size_bytes)
        self._durable: set[int] = set()
        self._sent: dict[int, int] = {}
        self.durable_bytes = 0
        self.learn(upload.persisted_ranges)
        missing = (n for n in range(-(-self._size // self._part_bytes)) if n not in self._durable)
        self._waiting = collections.deque(missing)
        self.streams = min(max(1, streams), len(self._waiting))

    @property
    def done_bytes(self) -> int:
        """What is durable or went out since the start, in bytes of the blob."""
        return min(self._size, self.durable_bytes + sum(self._sent.values()))

    def take(self) -> tuple[int, int] | None:
        """The next range [start, end) to send, or None if none waits."""
        if self._next_waiting() is None:
            return None
        first = last = self._waiting.popleft()
        if self.streams == 1:
            while self._next_waiting() == last + 1:
                last = self._waiting.popleft()
        return first * self._part_bytes, min((last + 1) * self._part_bytes, self._size)

    def give_back(self, span: tuple[int, int], *, at_end: bool = False) -> None:
        """A range was not sent whole: what is not durable of it is to be sent, next or at last."""
        numbers = [number for number in self._numbers(span) if number not in self._durable]
        for number in numbers:
            self._sent.pop(number, None)
        if at_end:
            self._waiting.extend(numbers)
        else:
            self._waiting.extendleft(reversed(numbers))

    def sent(self, offset: int, size: int) -> None:
        """So many bytes went out from there."""
        number = offset // self._part_bytes
        if number not in self._durable:
            self._sent[number] = self._sent.get(number, 0) + size

    def learn(self, spans: Iterable[tuple[int, int]]) -> None:
        """Those ranges are durable; a part counts when all of it is."""
        for start, end in spans:
            for number in self._numbers((start, end)):
                part_end = min((number + 1) * self._part_bytes, self._size)
                if part_end <= end and number not in self._durable:
                    self._durable.add(number)
                    self.durable_bytes += part_end - number * self._part_bytes
                    self._sent.pop(number, None)

    def _numbers(self, span: tuple[int, int]) -> range:
        start, end = span
        return range(start // self._part_bytes, -(-end // self._part_bytes))

    def _next_waiting(self) -> int | None:
        while self._waiting and self._waiting[0] in self._durable:
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None
