"""What people wrote, as Markdown that shows it and does nothing else.

Text stands in code, where neither markup nor HTML means anything, and what cannot be seen is
written out: `<U+202E>`. Tables are those of GitHub Flavored Markdown.
"""

import re
from collections.abc import Iterable, Sequence

_RUN = re.compile(r"`+")
_BLANKS = re.compile(r"[\t\n\r\v\f\x1c-\x1f\x85\u2028\u2029]+")
_SLASHED_PIPE = re.compile(r"(\\+)\|")
_SHORTEST_FENCE = 3
NOTHING = "-"


def visible(text: str) -> str:
    """The text with what cannot be seen, or turns the direction of writing, written out."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"<U+{ord(char):04X}>" for char in text)


def code(text: str) -> str:
    """One line of text in a code span; a dash if there is none."""
    shown = visible(_BLANKS.sub(" ", text)).strip()
    if not shown:
        return NOTHING
    fence = "`" * (max((len(run) for run in _RUN.findall(shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(text: str, language: str = "text") -> list[str]:
    """Lines of text in a block of code that nothing in it can end."""
    lines = [visible(line.replace("\t", "    ")) for line in _lines(text)]
    longest = max((len(run) for line in lines for run in _RUN.findall(line)), default=0)
    fence = "`" * max(_SHORTEST_FENCE, longest + 1)
    return [f"{fence}{language}", *lines, fence]


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table whose cells are Markdown already."""
    body = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}", *body] if body else []


def _cell(text: str) -> str:
    # A pipe is escaped with a backslash; readers disagree on one that has a backslash before it.
    safe = _SLASHED_PIPE.sub(r"\1<U+007C>", text)
    return safe.replace("|", r"\|")
