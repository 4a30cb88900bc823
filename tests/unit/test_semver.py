import random

import pytest
import semver as independent
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import bumps, errors, names, semver

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


@given(versions, versions)
def test_an_independent_library_orders_them_the_same(left: str, right: str) -> None:
    keys = semver.parse(left).key, semver.parse(right).key
    wanted = independent.Version.parse(left).compare(right)
    assert (keys[0] > keys[1]) - (keys[0] < keys[1]) == wanted


@given(st.lists(versions, min_size=1, max_size=20))
def test_an_independent_library_finds_the_same_newest(texts: list[str]) -> None:
    newest = max(texts, key=lambda text: semver.parse(text).key)
    assert independent.Version.parse(newest) == max(map(independent.Version.parse, texts))


@given(versions, st.sampled_from(["alpha", "0", "x.7.z.92", "--", "1"]))
def test_build_metadata_does_not_count(text: str, build: str) -> None:
    assert semver.parse(f"{text}+{build}").key == semver.parse(text).key


# The examples of sections 9 and 10 of the specification, and those of its regular expression.
SPECIFIED = """1.0.0-alpha 1.0.0-alpha.1 1.0.0-0.3.7 1.0.0-x.7.z.92 1.0.0-x-y-z.--
1.0.0-alpha+001 1.0.0+20130313144700 1.0.0-beta+exp.sha.5114f85 1.0.0+21AF26D3----117B344092BD
0.0.4 1.2.3 10.20.30 1.1.2-prerelease+meta 1.1.2+meta 1.1.2+meta-valid 1.0.0-alpha.beta
1.0.0-alpha0.valid 1.0.0-alpha.0valid 1.0.0-rc.1+build.1 2.0.0-rc.1+build.123 1.2.3-beta
10.2.3-DEV-SNAPSHOT 1.2.3-SNAPSHOT-123 2.0.0+build.1848 2.0.1-alpha.1227 1.0.0-alpha+beta
1.2.3----RC-SNAPSHOT.12.9.1--.12+788 1.2.3----R-S.12.9.1--.12+meta 1.2.3----RC-SNAPSHOT.12.9.1--.12
1.0.0+0.build.1-rc.10000aaa-kk-0.1 1.0.0-0A.is.legal"""
FORBIDDEN = """1 1.2 1.2.3-0123 1.2.3-0123.0123 1.1.2+.123 +invalid -invalid -invalid+invalid
-invalid.01 alpha alpha.beta alpha.beta.1 alpha.1 alpha+beta alpha_beta alpha. alpha.. beta
1.0.0-alpha_beta -alpha. 1.0.0-alpha.. 1.0.0-alpha..1 1.0.0-alpha...1 1.0.0-alpha....1 01.1.1
1.01.1 1.1.01 1.2.3.DEV 1.2-SNAPSHOT 1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788 1.2-RC-SNAPSHOT
-1.0.3-gamma+b7718 +justmeta 9.8.7+meta+meta 9.8.7-whatever+meta+meta"""


@pytest.mark.parametrize("text", SPECIFIED.split())
def test_what_the_specification_calls_valid_is_a_version(text: str) -> None:
    assert semver.parse(text)


@pytest.mark.parametrize("text", FORBIDDEN.split())
def test_what_the_specification_calls_invalid_is_none(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        semver.parse(text)


@given(versions, st.sampled_from(list(bumps.Bump)))
def test_a_bump_goes_as_an_independent_library_goes(text: str, bump: bumps.Bump) -> None:
    release = text.partition("-")[0]
    model = names.ModelName("a", "b")
    wanted = getattr(independent.Version.parse(release), f"bump_{bump}")()
    assert bumps.next_after(model, release, bump) == str(wanted)


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
