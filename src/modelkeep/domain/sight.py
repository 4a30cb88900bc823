"""What the work at hand may see and change: the namespaces that it was permitted.

`policy.require` admits what it permits, for the rest of the call; the database shows rows of no
other namespace (ADR 0028). What the registry does by itself says here what it sees, and why.
"""

import contextlib
import enum
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self


class Work(enum.Enum):
    """All that is done across namespaces, and why it must be; nothing else sees everything."""

    LIST_NAMESPACES = "a list of namespaces reads them all"
    KNOW_GRANTS = "what a caller was given is looked up before anything can be permitted"
    LIST_CHAINS = "verifying all audit chains, and signing those that moved on, begins with a list"
    FOLLOW_EVENTS = "one poller reads for the watchers of all namespaces"
    COMPACT_EVENTS = "old events go, whoever's they are"
    DELIVER = "webhooks of all namespaces are delivered from one line"
    REAP = "what nobody comes back for is found by its age, and objects by their keys"
    SCRUB = "blobs are read again by their age"
    VERIFY_UPLOADS = "what another replica left unverified is taken over"
    FIND_DEPENDENT = "a base is held by versions made from it, wherever they are"
    LINK_ORIGINS = "a sealed version is linked to a base that may be elsewhere"
    REPORT_COMPLIANCE = "a report of the whole registry ranks versions of all namespaces together"
    FIND_CYCLE = "a ring of origins may lead through any namespace"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen: these namespaces, by their ids, or all there are."""

    namespaces: frozenset[str] = frozenset()
    everything: bool = False

    def with_namespace(self, namespace: str) -> Self:
        """The same and one more."""
        if self.everything or namespace in self.namespaces:
            return self
        return type(self)(self.namespaces | {namespace})


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
    _current.set(_current.get().with_namespace(namespace))


@contextlib.contextmanager
def only(*namespaces: str) -> Iterator[None]:
    """See these namespaces and no other inside the block."""
    with _seeing(Sight(frozenset(namespaces))):
        yield


@contextlib.contextmanager
def everything(work: Work) -> Iterator[None]:  # noqa: ARG001 - whoever reads the call reads why
    """See all namespaces inside the block, for a work that cannot do with less."""
    with _seeing(EVERYTHING):
        yield


@contextlib.contextmanager
def _seeing(sight: Sight) -> Iterator[None]:
    before = _current.get()
    _current.set(sight)
    try:
        yield
    finally:
        _current.set(before)
