"""What happened to a model: moves of its aliases and versions, and everything else."""

import datetime
from dataclasses import dataclass

from modelkeep.domain import checks, gates, names, semver, stages


@dataclass(frozen=True, slots=True)
class AliasAssignment:
    """Where an alias pointed from when to when (None: still), who set it and why."""

    alias: names.AliasName
    version: names.VersionName
    begun_at: datetime.datetime
    ended_at: datetime.datetime | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class StageAssignment:
    """Where a version stood from when to when (None: still), who moved it and why.

    `transition` is the name of what was committed, or ''; `report` is what became of the gates.
    """

    version: names.VersionName
    stage: str
    begun_at: datetime.datetime
    ended_at: datetime.datetime | None
    actor: str
    reason: str
    transition: str = ""
    report: gates.Report | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        sequence: its place in the audit log of the namespace.
        occurred_at: when.
        action: what was done, as `noun.verb`.
        resource: name of what it was done to.
        actor: who did it.
        client: from which address and program.
        request_id: in which request.
        reason: why; '' if nobody said so.
        before: the stage, version or state there was, or ''.
        after: the same now, or ''.
        changed_fields: for an update, which fields.
    """

    sequence: int
    occurred_at: datetime.datetime
    action: str
    resource: str
    actor: str
    client: str
    request_id: str
    reason: str
    before: str
    after: str
    changed_fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted: those that fit every part that is not ''."""

    alias: str = ""
    stage: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            if self.alias:
                found.id("alias", self.alias)
            if self.version:
                with found.at("version"):
                    semver.parse(self.version)
            found.require(
                not self.stage or self.stage in stages.STAGES,
                "stage",
                f"{checks.shown(self.stage)} is not a stage; there are {', '.join(stages.STAGES)}",
            )
