"""What happened: one event for each change, for the audit log and for subscribers."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelkeep.domain import names

Json = None | bool | int | float | str | list["Json"] | Mapping[str, "Json"]
Fields = dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class NamedResource:
    """A resource by the name that a caller gave, which need not exist; '' is the registry."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Event:
    """A change to one resource.

    Attributes:
        action: what was done, as `noun.verb`.
        resource: what it was done to.
        before: the fields that changed, as they were; None for something new.
        after: the fields that changed, as they are now; None for something gone.
    """

    action: str
    resource: names.Resource | NamedResource
    before: Mapping[str, Json] | None = None
    after: Mapping[str, Json] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Record:
    """An event as the log of its namespace has it.

    Attributes:
        sequence: its place in the log, from 1 on without gaps.
        occurred_at: when.
        action: what was done, as `noun.verb`.
        resource: name of what it was done to.
        actor: who did it.
        before: JSON object of the fields that changed, as they were; None for something new.
        after: the same as they are now; None for something gone.
    """

    sequence: int
    occurred_at: datetime.datetime
    action: str
    resource: str
    actor: str
    before: str | None
    after: str | None
