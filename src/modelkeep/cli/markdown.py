"""Results as Markdown: for pull requests, wikis and letters."""

from collections.abc import Collection, Iterable, Sequence

from modelkeep.cli import safe_text

_SPECIAL = "\\|`*_<>[]#!~"


def escaped(raw: str) -> str:
    """The text as one line that Markdown shows as it is, without links, images or HTML."""
    plain = safe_text.printable(raw).replace("\n", " ")
    for special in _SPECIAL:
        plain = plain.replace(special, f"\\{special}")
    return plain


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()
) -> str:
    """A table; headings that `right` names are of columns of numbers."""
    rules = ["---:" if heading in right else "---" for heading in headings]
    titles = [heading.capitalize() for heading in headings]
    lines = [titles, rules, *(list(map(escaped, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(sentences: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)
