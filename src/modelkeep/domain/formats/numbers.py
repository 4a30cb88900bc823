"""Counts that fit into a row, and texts that are short."""

import math
from collections.abc import Iterable, Mapping, Sequence

from modelkeep.domain.formats import source

MAX = 2**63 - 1
TEXT_CHARS = 128
ENTRIES = 16
"""Most entries of metadata and most names kept."""
_DIMENSIONS = 64


def product(shape: Sequence[int]) -> int:
    """Elements of a tensor; raises `source.Malformed` if there are too many to be true."""
    if len(shape) > _DIMENSIONS:
        raise source.Malformed(f"a tensor has {len(shape):,} dimensions")
    return _fitting(math.prod(shape))


def total(counts: Iterable[int]) -> int:
    """The sum; raises `source.Malformed` if it is too large to be true."""
    return _fitting(sum(counts))


def shortened(entries: Mapping[str, str]) -> dict[str, str]:
    """The first entries, cut short."""
    return {clean(key): clean(value) for key, value in list(entries.items())[:ENTRIES]}


def clean(text: str) -> str:
    """The text, cut short and without what a database or a terminal does not take."""
    cut = text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)


def _fitting(count: int) -> int:
    if not 0 <= count <= MAX:
        raise source.Malformed("it counts more elements than can be")
    return count
