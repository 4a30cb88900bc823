"""Which events somebody wants to hear of, and how far they have heard."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from modelkeep.domain import checks, globs, limits

_ACTION = re.compile(r"[a-z_.*]{1,64}")
_MODEL = re.compile(r"[a-z0-9._*-]{1,128}")
_OF_MODEL = re.compile(r"namespaces/[^/]+/models/([^/]+)")
_OWNER = re.compile(r"^[^/]*/[^/]*/[^/]*/[^/]*")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Conditions on events, all of which must hold; an empty one always does.

    Attributes:
        actions: patterns of which the action must fit one.
        models: patterns of which the id of the event's model must fit one.
        resource: the event is about this resource or something in it.
    """

    actions: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    resource: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            _patterns(found, "actions", self.actions, _ACTION, "`stage.set` or `alias.*`")
            _patterns(found, "models", self.models, _MODEL, "a model's id or `ticket-*`")
            found.text("resource", self.resource, limits.RESOURCE_CHARS)

    def fits(self, action: str, resource: str) -> bool:
        """Whether an event of this action about this resource is wanted."""
        return (
            (not self.actions or globs.any_matches(self.actions, action))
            and (not self.models or _model_fits(self.models, resource))
            and (not self.resource or f"{resource}/".startswith(f"{self.resource}/"))
        )


def is_about_one_of(models: Collection[str], action: str, resource: str) -> bool:
    """Whether an event is for those who were given no more than some models, by resource names.

    A record of where something comes from is not: it names versions of other models.
    `event_log.READ_OF_MODELS` has the same rule.
    """
    owner = _OWNER.match(resource)
    return owner is not None and owner[0] in models and not action.startswith("lineage.")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a watch has come, and the oldest sequence that can still be read."""

    sequence: int
    oldest_sequence: int


def _patterns(
    found: checks.Checks,
    field: str,
    patterns: tuple[str, ...],
    form: re.Pattern[str],
    wanted: str,
) -> None:
    found.size(field, patterns, limits.FILTER_PATTERNS)
    for number, pattern in enumerate(patterns[: limits.FILTER_PATTERNS]):
        found.require(
            form.fullmatch(pattern) is not None,
            f"{field}[{number}]",
            f"{checks.shown(pattern)} is not a pattern: expected {wanted}",
        )


def _model_fits(patterns: tuple[str, ...], resource: str) -> bool:
    matched = _OF_MODEL.match(resource)
    return matched is not None and globs.any_matches(patterns, matched[1])
