"""Walks a chain in bounded memory and names the first event that does not fit."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.audit_chain import links

LOOK_AHEAD = 1000
"""Events that are looked at behind the first that does not fit, to tell what was done."""
LOOK_AHEAD_BYTES = 16 * 1024 * 1024


class FaultKind(enum.StrEnum):
    """What was done to a chain, as far as can be told."""

    CHANGED = "changed"
    REMOVED = "removed"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that does not fit.

    Attributes:
        kind: what was done.
        sequence: the first event concerned.
        description: one sentence for people.
    """

    kind: FaultKind
    sequence: int
    description: str


class Walk:
    """A walk along a chain, event by event.

    Args:
        start: the event before the first that comes.

    Attributes:
        head: the last event that fits.
        fault: what does not, once it is known.
    """

    def __init__(self, start: links.Head) -> None:
        self.head = start
        self.fault: Fault | None = None
        self._start = start
        self._beyond: list[links.Link] = []
        self._beyond_bytes = 0

    @property
    def events(self) -> int:
        """How many events fit."""
        return self.head.sequence - self._start.sequence

    @property
    def is_whole(self) -> bool:
        """Whether everything so far fits."""
        return self.fault is None and not self._beyond

    def take(self, link: links.Link) -> bool:
        """Take the event that stands next; False once no more are wanted."""
        if self.is_whole and link.follows(self.head):
            self.head = links.Head(link.sequence, link.hash)
            return True
        if self.fault is not None:
            return False
        self._beyond.append(link)
        self._beyond_bytes += len(link.document)
        if len(self._beyond) >= LOOK_AHEAD or self._beyond_bytes >= LOOK_AHEAD_BYTES:
            self.conclude()
        return self.fault is None

    def conclude(self) -> Fault | None:
        """No more events come: what does not fit, if anything."""
        if self._beyond and self.fault is None:
            self.fault = _named(self.head, self._start, self._beyond)
            self._beyond = []
        return self.fault

    def expect_end(self, end: links.Head) -> Fault | None:
        """Compare the last event with what is known of the end."""
        if self.conclude() is None and end != self.head:
            self.fault = _at_end(self.head, end)
        return self.fault

    def expect_checkpoint(self, signed: links.Head) -> Fault | None:
        """Compare the last event with what was signed of it."""
        if self.is_whole and signed != self.head:
            self.fault = _against_checkpoint(self.head, signed)
        return self.fault


def truncated(head: links.Head, signed: int) -> Fault:
    """The fault of a chain that ends before what a checkpoint covers."""
    return Fault(
        FaultKind.TRUNCATED,
        head.sequence + 1,
        f"the chain ends at {head.sequence}, and a checkpoint was signed at {signed}: "
        f"events {head.sequence + 1} to {signed} were cut off",
    )


def _against_checkpoint(head: links.Head, signed: links.Head) -> Fault:
    if signed.sequence > head.sequence:
        return truncated(head, signed.sequence)
    return Fault(
        FaultKind.REWRITTEN,
        signed.sequence,
        f"event {signed.sequence} has another hash than the checkpoint of it: it, or events "
        "before it, were written anew",
    )


def _at_end(head: links.Head, end: links.Head) -> Fault:
    if end.sequence > head.sequence:
        span = f"{head.sequence + 1} to {end.sequence}"
        what = f"the last events, {span}, are missing"
        return Fault(FaultKind.TRUNCATED, head.sequence + 1, what)
    if end.sequence < head.sequence:
        what = f"event {end.sequence + 1} stands behind the end of the chain"
        return Fault(FaultKind.INSERTED, end.sequence + 1, what)
    what = f"event {head.sequence}, the last, is not the one that the end of the chain names"
    return Fault(FaultKind.CHANGED, head.sequence, what)


def _named(head: links.Head, start: links.Head, beyond: Sequence[links.Link]) -> Fault:
    """What was done, told from the first event that does not fit and those behind it."""
    first, expected = beyond[0], head.sequence + 1
    written_as = _written_as(first, expected)
    for place, link in enumerate(beyond):
        if link.prev_hash == head.hash and link.fits_as(expected):
            return _displaced(first, expected, written_as, place)
    if written_as is None:
        return _foreign(first, expected)
    if written_as == expected:
        return _unlinked(head, start, expected)
    if written_as < expected:
        what = f"event {written_as} stands behind event {head.sequence}: one was inserted"
        return Fault(FaultKind.INSERTED, written_as, what)
    missing = str(expected) if written_as == expected + 1 else f"{expected} to {written_as - 1}"
    what = f"event {written_as} stands behind event {head.sequence}: {missing} removed"
    return Fault(FaultKind.REMOVED, expected, what)


def _displaced(first: links.Link, expected: int, written_as: int | None, place: int) -> Fault:
    """The event that comes next is there, and not where it belongs."""
    if place == 0:
        what = f"event {expected} bears the number {first.sequence}"
        return Fault(FaultKind.CHANGED, expected, what)
    if written_as is not None and written_as > expected:
        what = f"event {written_as} stands before event {expected}: they are not in order"
        return Fault(FaultKind.REORDERED, expected, what)
    number = expected if written_as is None else written_as
    what = f"an event {number} that does not belong there stands before event {expected}"
    return Fault(FaultKind.INSERTED, number, what)


def _foreign(first: links.Link, expected: int) -> Fault:
    """An event that was never written as it is, under any number near by."""
    if first.sequence > expected:
        what = f"event {first.sequence} stands where event {expected} should: some were removed"
        return Fault(FaultKind.REMOVED, expected, what)
    if first.sequence < expected:
        what = f"an event {first.sequence} that was never written stands before event {expected}"
        return Fault(FaultKind.INSERTED, first.sequence, what)
    return Fault(FaultKind.CHANGED, expected, f"event {expected} is not as it was written")


def _unlinked(head: links.Head, start: links.Head, expected: int) -> Fault:
    """An event that is as it was written, and whose predecessor is another than stands there."""
    if head == start:
        what = f"event {expected} does not follow what the chain begins with"
        return Fault(FaultKind.CHANGED, expected, what)
    what = f"event {head.sequence} is not the one that event {expected} was written behind"
    return Fault(FaultKind.CHANGED, head.sequence, what)


def _written_as(link: links.Link, expected: int) -> int | None:
    """The sequence that an event was written with, if it is near by; None if no such is."""
    if link.fits_as(link.sequence):
        return link.sequence
    reach = min(LOOK_AHEAD, LOOK_AHEAD_BYTES // len(link.document) + 1)  # each try hashes it all
    near = range(max(1, expected - reach), expected + reach)
    return next((number for number in near if link.fits_as(number)), None)
