"""Text from elsewhere, made harmless for whatever shows it.

A name, a card or an error's sentence may hold what moves a terminal's cursor, changes its colours
or title, or turns the direction of reading round so that `exe.txt` reads as `txt.exe`.
"""


def printable(value: str) -> str:
    """The text without what could move a terminal's cursor or change what is read."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}"
        for char in value
    )


def escaped(document: str) -> str:
    """JSON that means the same, in which nothing but line breaks moves anything."""
    if document.isascii():
        return document.replace("\x7f", "\\u007f")
    return "".join(
        char if char.isprintable() or char == "\n" else _as_json(char) for char in document
    )


def _as_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
