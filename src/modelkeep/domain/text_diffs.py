"""Unified diffs of texts, in bounded time."""

import difflib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CONTEXT = 3
_MOST_CELLS = 1_000_000
"""Lines that differ before, times those after: with more, `difflib` could take minutes."""
_Opcode = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class TextDiff:
    """A text that differs.

    Attributes:
        name: which text.
        unified: unified diff with three lines of context, without the lines that name files.
        added: lines that are only in the later text.
        removed: lines that are only in the earlier text.
    """

    name: str
    unified: str
    added: int
    removed: int


def between(name: str, before: str, after: str) -> TextDiff | None:
    """What differs between two texts, or None."""
    if before == after:
        return None
    old, new = _lines(before), _lines(after)
    groups = _grouped(_opcodes(old, new))
    lines = list(itertools.chain.from_iterable(_hunk(old, new, group) for group in groups))
    return TextDiff(
        name=name,
        unified="".join(f"{line}\n" for line in lines),
        added=sum(line.startswith("+") for line in lines),
        removed=sum(line.startswith("-") for line in lines),
    )


def pretty_json(text: str) -> str:
    """JSON with a line for each member, so that it can be compared; other text as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n") if text else []


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[_Opcode]:
    """What to do with which lines; what is the same at both ends is not searched through."""
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    inner = [
        (tag, i1 + head, i2 + head, j1 + head, j2 + head)
        for tag, i1, i2, j1, j2 in _inner(inner_old, inner_new)
    ]
    start = [("equal", 0, head, 0, head)] if head else []
    end = ("equal", len(old) - tail, len(old), len(new) - tail, len(new))
    return [*start, *inner, *([end] if tail else [])]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _inner(old: Sequence[str], new: Sequence[str]) -> Sequence[_Opcode]:
    if len(old) * len(new) > _MOST_CELLS:
        return [("replace", 0, len(old), 0, len(new))]
    return difflib.SequenceMatcher(None, old, new).get_opcodes()


def _grouped(opcodes: Sequence[_Opcode]) -> Iterator[list[_Opcode]]:
    """Changes with their context; equal lines between two that are too many part two groups."""
    group: list[_Opcode] = []
    for number, (tag, i1, i2, j1, j2) in enumerate(opcodes):
        if tag != "equal":
            group.append((tag, i1, i2, j1, j2))
            continue
        is_last = number == len(opcodes) - 1
        if group and (is_last or i2 - i1 > 2 * _CONTEXT):
            most = min(_CONTEXT, i2 - i1)
            yield [*group, (tag, i1, i1 + most, j1, j1 + most)]
            group = []
        if not is_last:
            most = i2 - i1 if group else min(_CONTEXT, i2 - i1)
            group.append((tag, i2 - most, i2, j2 - most, j2))
    if group:
        yield group


def _hunk(old: Sequence[str], new: Sequence[str], group: Sequence[_Opcode]) -> Iterator[str]:
    first, last = group[0], group[-1]
    yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            yield from (f" {line}" for line in old[i1:i2])
            continue
        yield from (f"-{line}" for line in old[i1:i2])
        yield from (f"+{line}" for line in new[j1:j2])


def _range(start: int, stop: int) -> str:
    """Lines from 1 on; an empty range stands behind the line before it, as `diff -u` has it."""
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
