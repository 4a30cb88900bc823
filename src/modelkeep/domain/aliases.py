"""Aliases: movable names for versions."""

import datetime
from dataclasses import dataclass

from modelkeep.domain import checks, limits, names


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias and where it points since when."""

    name: names.AliasName
    version: names.VersionName
    reason: str
    actor: str
    set_at: datetime.datetime
    etag: str


@dataclass(frozen=True, slots=True)
class AliasTarget:
    """Where an alias shall point, and why."""

    name: names.AliasName
    version: names.VersionName
    reason: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("reason", self.reason, limits.REASON_CHARS, layout=True)
            found.require(
                not (self.version and self.name) or self.version.parent == self.name.parent,
                "version",
                "is not a version of the model that the alias is in",
            )
