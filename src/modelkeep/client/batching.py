"""What goes together: items packed into batches that keep a registry's limits."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self, TypeVar

from modelkeep.client import records

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one batch may hold; all are 0 where the registry takes no batches."""

    item_bytes: int
    batch_bytes: int
    items: int

    @classmethod
    def of(cls, capabilities: records.Capabilities) -> Self:
        """Those that a registry states."""
        return cls(
            capabilities.max_batch_blob_bytes,
            capabilities.max_batch_bytes,
            capabilities.max_batch_blobs,
        )

    def take(self, size_bytes: int) -> bool:
        """Whether an item of this size may go into a batch at all."""
        return self.items > 0 and size_bytes <= min(self.item_bytes, self.batch_bytes)


def packed(
    items: Iterable[_Item], size_of: Callable[[_Item], int], limits: Limits
) -> Iterator[list[_Item]]:
    """Batches of the items in their order, each as full as it can be; none is empty.

    Every item must be one that the limits take.
    """
    batch: list[_Item] = []
    room_bytes = limits.batch_bytes
    for item in items:
        size_bytes = size_of(item)
        if batch and (size_bytes > room_bytes or len(batch) == limits.items):
            yield batch
            batch, room_bytes = [], limits.batch_bytes
        batch.append(item)
        room_bytes -= size_bytes
    if batch:
        yield batch
