import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import errors, semver

# The order of section 11 of the Semantic Versioning 2.0.0 specification, with numbers around it.
SPECIFIED_ORDER = [
    "0.0.0-0",
    "0.0.0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
    "10.0.0",
]

part = st.one_of(
    st.integers(0, 10**9).map(str),
    st.from_regex(r"[0-9]{0,6}[A-Za-z-][0-9A-Za-z-]{0,6}", fullmatch=True),
)
number = st.integers(0, 10**9)
versions = st.builds(
    lambda core, parts: ".".join(map(str, core)) + ("-" + ".".join(parts) if parts else ""),
    st.tuples(number, number, number),
    st.lists(part, max_size=4),
)


def is_before(left: str, right: str) -> bool:
    """Section 11, written down a second time as comparisons."""
    (left_core, left_parts), (right_core, right_parts) = _split(left), _split(right)
    if left_core != right_core:
        return left_core < right_core
    if bool(left_parts) != bool(right_parts):
        return bool(left_parts)
    return left_parts < right_parts


def _split(text: str) -> tuple[list[int], list[tuple[bool, int, str]]]:
    core, _, prerelease = text.partition("-")
    parts = prerelease.split(".") if prerelease else []
    ranked = [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]
    return [int(n) for n in core.split(".")], ranked


def test_keys_sort_in_the_order_of_the_specification() -> None:
    shuffled = random.sample(SPECIFIED_ORDER, len(SPECIFIED_ORDER))
    assert sorted(shuffled, key=lambda text: semver.parse(text).key) == SPECIFIED_ORDER


@given(versions, versions)
def test_keys_compare_as_precedence_does(left: str, right: str) -> None:
    by_key = semver.parse(left).key < semver.parse(right).key
    assert by_key == is_before(left, right)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "1.2.3-a..b", " 1.2.3",
     "1.2.3\n", "1.2.3-é", "1.2.3" + "0" * 200, "1.2.9999999999999999", "-1.2.3", "1.2.3.4"],
)  # fmt: skip
def test_what_is_not_a_semantic_version_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        semver.parse(text)


RANGES = [
    ("^1.2", "1.2.0 1.9.9", "1.1.9 2.0.0 2.0.0-rc.1"),
    ("^1.2.3", "1.2.3 1.3.0", "1.2.2 2.0.0"),
    ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
    ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
    ("^0", "0.0.1 0.9.0", "1.0.0"),
    ("~1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
    ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
    ("~1", "1.0.0 1.9.0", "2.0.0"),
    (">=1,<3", "1.0.0 2.9.9", "0.9.9 3.0.0"),
    (">= 1.0.0 < 2", "1.0.0 1.9.9", "2.0.0"),
    ("1.x", "1.0.0 1.9.0", "2.0.0 0.9.0"),
    ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
    ("2", "2.0.0 2.9.9", "3.0.0 1.9.9"),
    ("=1.2.3", "1.2.3", "1.2.4 1.2.2"),
    (">1.2", "1.3.0", "1.2.9"),
    ("<=1.2", "1.2.9 0.1.0", "1.3.0"),
    (">1.2.3", "1.2.4", "1.2.3"),
    ("<1.0.0", "0.9.9", "1.0.0"),
    (">=1.0.0-rc.1", "1.0.0-rc.1 1.0.0-rc.2 1.0.0", "1.0.0-beta"),
    ("", "0.0.1 9.9.9", "1.0.0-rc.1"),
]


def matches(bounds: semver.Range, text: str) -> bool:
    version = semver.parse(text)
    return bounds.lower <= version.key < bounds.upper and (
        bounds.prereleases or not version.prerelease
    )


@pytest.mark.parametrize(("text", "inside", "outside"), RANGES)
def test_ranges_hold_what_npm_says_they_hold(text: str, inside: str, outside: str) -> None:
    bounds = semver.parse_range(text)
    assert [v for v in inside.split() if not matches(bounds, v)] == []
    assert [v for v in outside.split() if matches(bounds, v)] == []


@pytest.mark.parametrize("text", [">", "^", "x", "1.2.3.4", ">=a", "1..2", "^1.2 || 2", "~-1"])
def test_what_is_not_a_range_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        semver.parse_range(text)


@given(st.text(max_size=40))
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        bounds = semver.parse_range(text)
    except errors.InvalidArgument:
        return
    assert isinstance(bounds.lower, str)
    assert isinstance(bounds.upper, str)
