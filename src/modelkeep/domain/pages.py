"""Pages of a list: how many entries, and after which one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from modelkeep.domain import checks, limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `size` entries that come after the one with key `after` ('' for the first page)."""

    size: int = limits.PAGE_DEFAULT
    after: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("page_size", self.size, 1, limits.PAGE_MAX)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Entries, each with its key, and whether more follow.

    `reached` is the key that the next page begins behind, if it is not the last entry's.
    """

    entries: Sequence[tuple[str, T]]
    more: bool
    reached: str = ""


def page_of(entries: Sequence[tuple[str, T]], size: int) -> Page[T]:
    """Make a page of rows read with one more than `size`, which tells whether more follow."""
    return Page(entries[:size], len(entries) > size)
