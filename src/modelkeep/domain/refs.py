"""References that people write: `acme/ticket-classifier@production`."""

import functools
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits, names, semver, stages


@dataclass(frozen=True, slots=True)
class ByVersion:
    """`@2.1.0`."""

    version: str


@dataclass(frozen=True, slots=True)
class ByRange:
    """`@^2.1`: the newest release within; `@latest`: the newest release of all."""

    range: semver.Range


@dataclass(frozen=True, slots=True)
class ByAlias:
    """`@champion`."""

    alias: str


@dataclass(frozen=True, slots=True)
class ByStage:
    """`@production`: the version that was moved there last."""

    stage: str


@dataclass(frozen=True, slots=True)
class ByDigest:
    """`@sha256:...`: the newest version with that manifest."""

    digest: str


@dataclass(frozen=True, slots=True)
class ByOrdinal:
    """`@#17`."""

    ordinal: int


Selector = ByVersion | ByRange | ByAlias | ByStage | ByDigest | ByOrdinal

LATEST = ByRange(semver.parse_range(""))


@dataclass(frozen=True, slots=True)
class Ref:
    """A model, and which of its versions."""

    model: names.ModelName
    selector: Selector


@functools.lru_cache(1024)  # what is hot is asked for again and again
def parse(text: str) -> Ref:
    """Read `{namespace}/{model}[@{selector}]`, or raise `errors.InvalidArgument`."""
    if len(text) > limits.REF_CHARS:
        raise errors.invalid(
            f"has {len(text):,} characters; at most {limits.REF_CHARS} are allowed"
        )
    path, at, selector = text.partition("@")
    namespace, slash, model = path.partition("/")
    if not slash or "/" in model or (at and not selector):
        raise errors.invalid(f"{checks.shown(text)} is not of the form namespace/model@selector")
    return Ref(names.ModelName(namespace, model), _selector(selector))


def _selector(text: str) -> Selector:
    if text in ("", "latest"):
        return LATEST
    if text.startswith("sha256:"):
        with checks.Checks() as found:
            found.digest("", text)
        return ByDigest(text)
    if text.startswith("#"):
        return ByOrdinal(_ordinal(text[1:]))
    if text in stages.STAGES:
        return ByStage(text)
    return _versioned(text)


def _versioned(text: str) -> Selector:
    if text[0] in "^~<>=":
        return ByRange(semver.parse_range(text))
    if not semver.is_selector(text):
        with checks.Checks() as found:
            found.id("", text)
        return ByAlias(text)
    try:
        semver.parse(text)
    except errors.InvalidArgument:
        return ByRange(semver.parse_range(text))
    return ByVersion(text)


def _ordinal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= limits.ORDINAL_DIGITS and int(text)):
        raise errors.invalid(f"{checks.shown('#' + text)} is not an ordinal; expected #1 or more")
    return int(text)
