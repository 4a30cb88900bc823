"""Blobs that nobody needs any more, and how long they are kept all the same."""

import datetime
from dataclasses import dataclass

GRACE = datetime.timedelta(days=7)
"""A blob stays so long after somebody was told that it is there: as long as an upload may take."""
ORPHAN_GRACE = datetime.timedelta(days=8)
"""An object no row knows of stays so long: longer than an upload, which its row may yet follow."""
RETENTION = datetime.timedelta(days=7)
"""The record of an upload that is over stays so long."""
ANSWERS_KEPT = datetime.timedelta(days=7)
"""The answer to a request_id can be had again so long: longer than anybody retries."""
_TOUCHED_EACH = datetime.timedelta(hours=1)


def touch_after(grace: datetime.timedelta) -> datetime.timedelta:
    """How long telling that a blob is there is not noted again.

    Noting it each time would write a row for each file of each push. So the grace of who was told
    is shorter by this time, a quarter at most.
    """
    return min(_TOUCHED_EACH, grace / 4)


TOUCH_AFTER = touch_after(GRACE)
"""The same for the usual grace period."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """A blob that may go, or went.

    No version, deleted ones included, has a file of this digest; no open upload brings it; no model
    that is to move to the namespace needs it; and nobody was told within the grace period that it
    is there.

    Attributes:
        digest: what it is.
        size_bytes: its size.
        verified_at: when it was stored.
        touched_at: when somebody was last told that it is there.
        freed_bytes: what the store gets back with its removal: its size, or, if it is in a pack,
            the pack's for the last of the pack's blobs and nothing for the others.
    """

    digest: str
    size_bytes: int
    verified_at: datetime.datetime
    touched_at: datetime.datetime
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one look at some of a namespace's blobs found.

    Attributes:
        found: by digest.
        reached: the digest that the look got to; the next one begins behind it.
        more: whether there are blobs behind it.
    """

    found: tuple[Garbage, ...]
    reached: str
    more: bool
