"""Patterns in which `*` stands for any number of any characters, and nothing else is special."""

from collections.abc import Iterable


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits the pattern; never slower than both lengths multiplied."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    last = rest.pop()
    if not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in rest:
        found = text.find(part, position, max(end, 0))
        if found < 0:
            return False
        position = found + len(part)
    return position <= end


def any_matches(patterns: Iterable[str], text: str) -> bool:
    """Whether the text fits one of the patterns."""
    return any(matches(pattern, text) for pattern in patterns)
