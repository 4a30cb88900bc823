"""Semantic versions 2.0.0 (semver.org): parsing, order, ranges.

Order is carried by `Semver.key`, a string whose plain byte order is the precedence of the
specification, so that a database column orders and bounds versions without knowing the rules.
"""

import functools
import itertools
import re
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits

_PRE_PART = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    rf"(?:-({_PRE_PART}(?:\.{_PRE_PART})*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_SELECTOR = re.compile(r"v?[0-9]+(\.([0-9]+|x))*([-+].*)?")
_DIGITS = r"(?:0|[1-9][0-9]*)"
_COMPARATOR = re.compile(
    r"(?P<operator>\^|~|>=|<=|>|<|=)?\s*"
    rf"(?P<major>{_DIGITS})(?:\.(?P<minor>x|\*|{_DIGITS}))?(?:\.(?P<patch>x|\*|{_DIGITS}))?"
    rf"(?:-(?P<prerelease>{_PRE_PART}(?:\.{_PRE_PART})*))?"
)
_RELEASE = "~"
"""Sorts after every pre-release, as precedence wants."""


@dataclass(frozen=True, slots=True)
class Semver:
    """A parsed version."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @property
    def key(self) -> str:
        """A string whose byte order is the precedence (section 11 of the specification)."""
        core = ".".join(f"{number:015d}" for number in (self.major, self.minor, self.patch))
        parts = self.prerelease.split(".") if self.prerelease else []
        return f"{core}-{' '.join(map(_part_key, parts)) if parts else _RELEASE}"


def _part_key(part: str) -> str:
    """Numeric identifiers sort before others and by value: `!` and their length lead."""
    return f"!{len(part):03d}{part}" if part.isdigit() else f'"{part}'


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Semver:
    """Read a version, or raise `errors.InvalidArgument`."""
    found = _SEMVER.fullmatch(text) if len(text) <= limits.SEMVER_CHARS else None
    if found is None:
        shown = checks.shown(text)
        why = f"{shown} is not a semantic version of at most {limits.SEMVER_CHARS} characters"
        raise errors.invalid(f"{why}, such as 1.2.0 or 2.0.0-rc.1")
    major, minor, patch = (int(found[n]) for n in (1, 2, 3))
    if max(major, minor, patch) >= limits.SEMVER_NUMBER:
        why = f"a number in {checks.shown(text)} has more than 15 digits"
        raise errors.invalid(why)
    return Semver(major, minor, patch, found[4] or "")


def is_selector(text: str) -> bool:
    """Whether a person would read the text as a version or a range."""
    return _SELECTOR.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Range:
    """Versions whose key is in [lower, upper); pre-releases only if a bound names one."""

    lower: str
    upper: str
    prereleases: bool


_EVERYTHING = ("", "~")


def parse_range(text: str) -> Range:
    """Read a range: comparators joined by commas or spaces, all of which must hold.

    The forms are npm's: `^1.2` (same left-most non-zero number), `~1.2` (same minor), `1.x`, `2`,
    and `>= > < <= =` with full or partial versions. Raises `errors.InvalidArgument`.
    """
    lower, upper = _EVERYTHING
    prereleases = False
    joined = re.sub(r"([\^~<>=])\s+", r"\1", text)
    for part in filter(None, re.split(r"[,\s]+", joined)):
        found = _COMPARATOR.fullmatch(part)
        if found is None:
            why = f"{checks.shown(part)} is not a version range such as ^1.2, ~1.2, >=1,<3 or 1.x"
            raise errors.invalid(why)
        low, high = _bounds(found)
        lower, upper = max(lower, low), min(upper, high)
        prereleases = prereleases or found["prerelease"] is not None
    return Range(lower, upper, prereleases)


def _bounds(found: re.Match[str]) -> tuple[str, str]:
    numbers = _numbers(found["major"], found["minor"], found["patch"])
    if max(numbers) >= limits.SEMVER_NUMBER - 1:
        why = f"a number in {checks.shown(found[0])} is too large"
        raise errors.invalid(why)
    first, after = _span(numbers, found["prerelease"] or "")
    operator = found["operator"] or "="
    if operator == "^":
        return first, _below(numbers, _caret_place(numbers))
    if operator == "~":
        return first, _below(numbers, min(len(numbers), 2))
    return {
        "=": (first, after),
        ">=": (first, _EVERYTHING[1]),
        ">": (after, _EVERYTHING[1]),
        "<": (_EVERYTHING[0], first),
        "<=": (_EVERYTHING[0], after),
    }[operator]


def _numbers(*parts: str | None) -> list[int]:
    """The numbers that are stated, up to the first wildcard."""
    return [int(part) for part in itertools.takewhile(lambda p: p and p.isdigit(), parts) if part]


def _span(numbers: list[int], prerelease: str) -> tuple[str, str]:
    """Lowest key that the (partial) version covers, and the first key beyond it."""
    full = [*numbers, 0, 0][:3]
    if prerelease or len(numbers) == 3:  # noqa: PLR2004 - a full version is one point
        key = Semver(full[0], full[1], full[2], prerelease).key
        return key, key + " "
    return _below_key(full), _below(numbers, len(numbers))


def _below(numbers: list[int], place: int) -> str:
    """Key below every version whose first `place` numbers, read as one, are one higher."""
    raised = [*numbers[: place - 1], numbers[place - 1] + 1, 0, 0][:3]
    return _below_key(raised)


def _below_key(numbers: list[int]) -> str:
    """Key below all versions of these numbers, their pre-releases included."""
    return Semver(numbers[0], numbers[1], numbers[2]).key.removesuffix(_RELEASE)


def _caret_place(numbers: list[int]) -> int:
    """Which number a caret lets grow no further: the left-most that is not zero, from 1."""
    for place, number in enumerate(numbers, start=1):
        if number:
            return place
    return len(numbers)
