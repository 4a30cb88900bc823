"""The version that comes next: which one it is, and when there is no need of one."""

import dataclasses
import enum
from dataclasses import dataclass

from modelkeep.domain import errors, limits, names, semver, specs


class Bump(enum.StrEnum):
    """Which number of the highest release goes up by one."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


class Reuse(enum.StrEnum):
    """What may be answered instead of a new version."""

    NOTHING = "nothing"
    DRAFT = "draft"
    DRAFT_OR_LATEST = "draft_or_latest"


@dataclass(frozen=True, slots=True)
class NextVersion:
    """A version of a model whose number the registry chooses.

    Attributes:
        model: the model.
        bump: which number goes up.
        manifest_digest: what its files will be; '' if nobody knows yet.
        reuse: what may be answered instead of a new version.
    """

    model: names.ModelName
    bump: Bump
    manifest_digest: str = ""
    reuse: Reuse = Reuse.NOTHING


_FIRST = "0.0.0"
"""What a model counts as that has no release yet."""


def next_after(model: names.ModelName, highest: str, bump: Bump) -> str:
    """The version that follows the model's highest release ('' for none).

    Raises `errors.FailedPrecondition` if the number cannot go up any further.
    """
    release = semver.parse(highest or _FIRST)
    major, minor, patch = {
        Bump.MAJOR: (release.major + 1, 0, 0),
        Bump.MINOR: (release.major, release.minor + 1, 0),
        Bump.PATCH: (release.major, release.minor, release.patch + 1),
    }[bump]
    if max(major, minor, patch) >= limits.SEMVER_NUMBER:
        raise errors.FailedPrecondition(
            f"{model} has {highest}, after which no {bump} version can come; bump another number",
            reason="VERSION_NUMBER_EXHAUSTED",
        )
    return f"{major}.{minor}.{patch}"


def says_the_same(left: specs.Content, right: specs.Content) -> bool:
    """Whether two contents would seal the same, whatever the order their parts were listed in."""
    return _comparable(left) == _comparable(right)


def _comparable(content: specs.Content) -> object:
    spec = content.spec
    if isinstance(spec, specs.PromptSpec):
        spec = dataclasses.replace(spec, variables=tuple(sorted(spec.variables)))
    metrics = {metric.name: metric for metric in content.metrics}
    return spec, frozenset(content.datasets), metrics, content.source
