"""What people wrote is shown on a sheet and does nothing: read back with a parser of Markdown."""

import hypothesis
import pytest
from hypothesis import strategies

from modelkeep.domain import sheet_text

HOSTILE = [
    "# heading",
    "</code><script>alert(1)</script>",
    "`` ` ```",
    "a | b",
    "a \\| b",
    "[x](javascript:alert(1))",
    "![x](http://example.com/x.png)",
    "@everyone https://example.com www.example.com",
    "\u202egpj.exe\u2066",
    "a\nb\r\n# c",
    "\u2028\u0085x",
    "`",
    " `x` ",
    "\\",
    "&lt;b&gt;",
    "~~~\n```\n# out\n",
    "````\n# out\n````",
    "| a | b |\n|---|---|",
]
TEXTS = strategies.text(
    strategies.sampled_from("ab `|\\<>[]()#*_&~!\n\r\t\u202e\u2028@$-=+.:\x00\xa0"), max_size=40
)


def fence_of(span: str) -> str:
    return span[: len(span) - len(span.lstrip("`"))]


@hypothesis.given(TEXTS)
def test_a_span_is_closed_by_its_own_end_only(text: str) -> None:
    span = sheet_text.code(text)
    assert "\n" not in span
    assert span.isprintable()
    if span == sheet_text.NOTHING:
        return
    fence = fence_of(span)
    inside = span[len(fence) : -len(fence)]
    assert span.startswith(fence)
    assert span.endswith(fence)
    assert fence not in runs(inside)
    assert not inside.startswith("`")
    assert not inside.endswith("`")


def runs(text: str) -> set[str]:
    return {run for run in "".join(c if c == "`" else " " for c in text).split(" ") if run}


@hypothesis.given(TEXTS)
def test_a_block_is_ended_by_its_last_line_only(text: str) -> None:
    first, *lines, last = sheet_text.block(text)
    assert first == f"{last}text"
    assert set(last) == {"`"}
    assert all(line.isprintable() for line in lines)
    assert not any(last in line for line in lines)


@hypothesis.given(strategies.lists(TEXTS, min_size=1, max_size=4))
def test_a_row_has_as_many_cells_as_there_are(texts: list[str]) -> None:
    heads = [str(n) for n in range(len(texts))]
    row = sheet_text.table(heads, [[sheet_text.code(text) for text in texts]])[2]
    # A pipe that is not escaped divides; one behind a backslash may do so in some readers, so
    # there is none behind two.
    assert "\\\\|" not in row
    assert row.replace("\\|", "").count("|") == len(texts) + 1


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_it_is_lost(text: str) -> None:
    shown = sheet_text.code(text)
    for word in text.split():
        visible = sheet_text.visible(word)
        assert visible in shown or "\u2028" in word or "\x85" in word


def test_what_cannot_be_seen_is_written_out() -> None:
    assert sheet_text.code("a\u202eb\u200bc") == "`a<U+202E>b<U+200B>c`"
    assert sheet_text.code("a``b") == "```a``b```"
    assert sheet_text.code("`") == "`` ` ``"
    assert sheet_text.code(" \n ") == "-"
    assert sheet_text.block("a\r\n```\u2028") == ["````text", "a", "```<U+2028>", "````"]
    table = sheet_text.table(["A"], [[sheet_text.code(r"a|b\|c")]])
    assert table == ["| A |", "|---|", r"| `a\|b\<U+007C>c` |"]
    assert sheet_text.table(["A"], []) == []
