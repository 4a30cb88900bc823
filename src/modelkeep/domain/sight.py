"""What the work at hand may see and change: the namespaces that it was permitted.

`policy.require` admits what it permits, for the rest of the call; the database shows rows of no
other namespace (ADR 0028). What must be done across namespaces is listed here, with its reason.
"""

import contextlib
import enum
import functools
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self


class Work(enum.Enum):
    """All that is done across namespaces, and why; `database.everywhere` and `widened` name it."""

    LIST_NAMESPACES = "a list of namespaces reads them all"
    KNOW_GRANTS = "what a caller was given is looked up before anything can be permitted"
    LIST_CHAINS = "verifying all audit chains, and signing those that moved on, begins with a list"
    FOLLOW_EVENTS = "one poller reads for the watchers of all namespaces"
    COMPACT_EVENTS = "old events go, whoever's they are"
    DELIVER = "webhooks of all namespaces are delivered from one line"
    RESEAL = "a new key is to encrypt the secrets of all webhooks"
    REAP = "what nobody comes back for is found by its age, and objects by their keys"
    REPACK = "packs are found by their keys, and moved as a whole"
    SCRUB = "blobs are read again by their age"
    VERIFY_UPLOADS = "what another replica left unverified is taken over"
    FIND_DEPENDENT = "a base is held by versions made from it, wherever they are"
    LINK_ORIGINS = "a sealed version is linked to a base that may be elsewhere"
    REPORT_COMPLIANCE = "a report of the whole registry ranks versions of all namespaces together"
    FOLLOW_MOVED = "a name that a model had leads to it, into another namespace too"
    FIND_CYCLE = "a ring of origins may lead through any namespace"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen: these namespaces, by their ids, or all there are."""

    namespaces: frozenset[str] = frozenset()
    everything: bool = False

    def __or__(self, other: Self) -> Self:
        """What either sees."""
        if self.everything or other.everything:
            return self if self.everything else other
        if not self.namespaces:
            return other
        return type(self)(self.namespaces | other.namespaces)


NOTHING = Sight()
EVERYTHING = Sight(everything=True)

_current: ContextVar[Sight] = ContextVar("sight", default=NOTHING)


def current() -> Sight:
    """What the running work sees; nothing unless somebody said so."""
    return _current.get()


def begin() -> None:
    """See nothing; where a call begins."""
    _current.set(NOTHING)


def admit(namespace: str) -> None:
    """See one more namespace from now on, in this task and those that it starts."""
    add(_alone(namespace))


@functools.lru_cache(1024)
def _alone(namespace: str) -> Sight:
    return Sight(frozenset({namespace}))


def add(more: Sight) -> None:
    """See this as well from now on, in this task and those that it starts."""
    _current.set(_current.get() | more)


@contextlib.contextmanager
def only(*namespaces: str) -> Iterator[None]:
    """See these namespaces and no others inside the block."""
    before = _current.get()
    _current.set(Sight(frozenset(namespaces)))
    try:
        yield
    finally:
        _current.set(before)
