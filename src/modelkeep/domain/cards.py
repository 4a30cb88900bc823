"""What a model card says, as far as rules ask: its headings, and the keys it begins with."""

import re
from collections.abc import Iterator

_HEADING = re.compile(r"(#{1,6})[ \t]+([^\n]*)")
_KEY = re.compile(r"([A-Za-z0-9_.-]+):(.*)")
_FENCE = ("```", "~~~")
_FRONT = "---"


def find_part(card: str, word: str) -> str:
    """The text below the heading of that word, or of that key of the YAML at the beginning; or ''.

    Case does not matter, and `_` and `-` stand for spaces: `known_limitations` is the part
    "## Known limitations". A part ends with the next heading of its level or above. Of several
    parts of that word the first with any text counts.
    """
    wanted = _plain(word)
    lines = card.splitlines()
    found = (text for name, text in (*_keys(lines), *_parts(lines)) if _plain(name) == wanted)
    return next((text for text in found if text), "")


def _plain(word: str) -> str:
    return " ".join(word.replace("_", " ").replace("-", " ").split()).casefold()


def _front(lines: list[str]) -> list[str]:
    """The lines of YAML that it begins with, if it does."""
    if not lines or lines[0].rstrip() != _FRONT:
        return []
    ends = (n for n, line in enumerate(lines[1:], 1) if line.rstrip() == _FRONT)
    return lines[1 : next(ends, 1)]


def _keys(lines: list[str]) -> Iterator[tuple[str, str]]:
    name, text = "", [""]
    for line in _front(lines):
        matched = _KEY.fullmatch(line)
        if matched:
            yield name, "\n".join(text).strip()
            name, text = matched[1], [_unquoted(matched[2])]
        else:
            text.append(line)
    yield name, "\n".join(text).strip()


def _unquoted(value: str) -> str:
    text = value.strip()
    return "" if text in {"''", '""', "null", "~", "[]", "{}"} or text.startswith("#") else text


def _parts(lines: list[str]) -> Iterator[tuple[str, str]]:
    headings = list(_headings(lines))
    for place, (line, level, name) in enumerate(headings):
        after = (n for n, other, _ in headings[place + 1 :] if other <= level)
        body = lines[line + 1 : next(after, len(lines))]
        said = [text for text in body if not _HEADING.fullmatch(text)]
        yield name, "\n".join(body).strip() if any(text.strip() for text in said) else ""


def _headings(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Line, level and text of each heading that is not in a block of code."""
    fence = ""
    for n, line in enumerate(lines):
        start = line.lstrip()[:3]
        if start in _FENCE and fence in {"", start}:
            fence = "" if fence else start
        matched = _HEADING.fullmatch(line)
        if matched and not fence:
            yield n, len(matched[1]), matched[2].rstrip("# \t")
