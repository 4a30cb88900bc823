"""What happened: one event for each change, for the audit log and for subscribers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelkeep.domain import names

Json = None | bool | int | float | str | list["Json"] | Mapping[str, "Json"]


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
    resource: names.Resource
    before: Mapping[str, Json] | None = None
    after: Mapping[str, Json] | None = field(default=None)
