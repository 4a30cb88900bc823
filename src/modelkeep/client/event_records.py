"""What the SDK shows of events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """A change that was committed.

    Attributes:
        sequence: its place in its namespace's log, from 1 on without gaps.
        created_at: when it happened.
        action: what was done, as `noun.verb`, for example `stage.set`.
        resource: name of what it was done to.
        actor: who did it.
        before: the fields that changed, as they were; None for something new.
        after: the fields that changed, as they are now; None for something gone.
    """

    sequence: int
    created_at: datetime
    action: str
    resource: str
    actor: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: an event must fit every condition that is given.

    Attributes:
        actions: patterns such as `stage.set` and `alias.*`, of which one must fit.
        models: ids of models or patterns such as `ticket-*`, of which one must fit.
        resource: name of a resource: what happens to it and to what is in it.
    """

    actions: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    resource: str = ""


@dataclass(slots=True)
class Position:
    """How far a watch has come: go on after `sequence` to miss nothing.

    Attributes:
        sequence: everything up to here was received or did not fit; None before the server said.
        interruptions: how often the connection was lost since the start.
    """

    sequence: int | None = None
    interruptions: int = field(default=0)
