"""Aliases: movable names for versions."""

import datetime
import re
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits, names

_PATTERN = re.compile(r"[a-z0-9*]([a-z0-9._*-]{0,126}[a-z0-9*])?")


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias and where it points since when."""

    name: names.AliasName
    version: names.VersionName
    reason: str
    actor: str
    set_at: datetime.datetime
    etag: str
    protected: bool = False


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


Owner = names.NamespaceName | names.ModelName
"""Whose aliases a protection is about: one model's, or those of all models of a namespace."""


@dataclass(frozen=True, slots=True)
class ProtectionTarget:
    """Which aliases shall be protected, or no longer be, and why; `*` stands for any characters."""

    owner: Owner
    pattern: str
    reason: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.require(
                _PATTERN.fullmatch(self.pattern) is not None,
                "pattern",
                f"{checks.shown(self.pattern)} is not an alias with '*' for any characters",
            )
            found.text("reason", self.reason, limits.REASON_CHARS, least=1, layout=True)


@dataclass(frozen=True, slots=True)
class Protection:
    """Aliases that not everybody may set: which, since when, why and by whom."""

    owner: Owner
    pattern: str
    reason: str
    actor: str
    protected_at: datetime.datetime


def require_reason(name: names.AliasName, pattern: str, reason: str) -> None:
    """Raise `errors.FailedPrecondition` unless there is a reason to touch a protected alias."""
    if not reason.strip():
        raise errors.FailedPrecondition(
            f"{name} is protected ({pattern}): say why with a reason",
            reason="REASON_REQUIRED",
            pattern=pattern,
        )
