"""Unified diffs are those of the standard library, and lead from one text to the other."""

import difflib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import text_diffs

lines = st.lists(st.sampled_from(["", "a", "b", "c", "- x", "+ y", "@@"]), max_size=30)
texts = lines.map("\n".join)


def applied(before: str, unified: str) -> str:
    """The text that the diff makes of `before`, as `patch` would."""
    old = before.split("\n") if before else []
    new: list[str] = []
    place = 0
    for line in unified.removesuffix("\n").split("\n"):
        if header := re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@", line):
            start, length = int(header[1]), int(header[2] if header[2] is not None else 1)
            begin = start - 1 if length else start
            new += old[place:begin]
            place = begin
        elif line[0] == " ":
            assert old[place] == line[1:]
            new.append(line[1:])
            place += 1
        elif line[0] == "-":
            assert old[place] == line[1:]
            place += 1
        else:
            new.append(line[1:])
    return "\n".join([*new, *old[place:]])


@given(texts, texts)
def test_a_diff_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    found = text_diffs.between("t", before, after)
    if found is None:
        assert before == after
        return
    assert applied(before, found.unified) == after


@given(lines, lines)
def test_few_lines_are_shown_as_the_standard_library_shows_them(
    before: list[str], after: list[str]
) -> None:
    # The ends are made to differ: what is the same there, we do not search through.
    old, new = ["<old", *before, "old>"], ["<new", *after, "new>"]
    wanted = list(difflib.unified_diff(old, new, lineterm=""))[2:]
    found = text_diffs.between("t", "\n".join(old), "\n".join(new))
    assert found is not None
    assert found.unified == "".join(f"{line}\n" for line in wanted)
    assert found.added == sum(line.startswith("+") for line in wanted)
    assert found.removed == sum(line.startswith("-") for line in wanted)


def test_a_change_in_the_middle_has_three_lines_of_context() -> None:
    before = "\n".join(str(n) for n in range(1, 21))
    found = text_diffs.between("t", before, before.replace("\n10\n", "\nten\n"))
    assert found is not None
    assert found.unified == "@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n"


def test_a_text_that_was_not_there_is_all_added() -> None:
    found = text_diffs.between("t", "", "a\nb")
    assert found == text_diffs.TextDiff("t", "@@ -0,0 +1,2 @@\n+a\n+b\n", 2, 0)


def test_line_ends_of_other_systems_are_no_difference_of_lines() -> None:
    found = text_diffs.between("t", "a\r\nb\r\n", "a\nc\n")
    assert found is not None
    assert (found.added, found.removed) == (1, 1)


def numbered(length: int, modulus: int, power: int = 1) -> str:
    return "\n".join(str(n**power % modulus) for n in range(length))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n" * 262_143, "x\n" * 131_071),
        (numbered(60_000, 997), numbered(60_000, 991)),
        (numbered(990, 10), numbered(991, 11)),
        (numbered(1000, 1000), "\n".join(map(str, reversed(range(1000))))),
        (numbered(1000, 101, 2), numbered(1000, 101, 3)),
    ],
)
def test_no_text_takes_long(before: str, after: str) -> None:
    began = time.process_time()
    found = text_diffs.between("t", before, after)
    assert time.process_time() - began < 20
    assert found is not None
    assert applied(before, found.unified) == after


def test_json_is_compared_member_by_member() -> None:
    assert text_diffs.pretty_json('{"b":1,"a":[]}') == '{\n  "a": [],\n  "b": 1\n}'
    assert text_diffs.pretty_json("") == ""
