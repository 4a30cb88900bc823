"""How much may be asked for at once and how fast: of a principal, a connection, the server.

Nothing here waits: what is over a limit is refused at once, with when to come again. All of it runs
in the event loop's thread, so counts need no lock.
"""

import enum
import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from modelkeep.domain import errors

_BURST_S = 2.0
"""A principal that was quiet may ask for what so many seconds allow, all at once."""
_RETRY_AT_ONCE_S = 1.0
_ROUNDING_S = 1e-6
_REMEMBERED = 1024
"""With more principals than this, those that ask for nothing now are forgotten."""


class Kind(enum.IntEnum):
    """What a call costs us: the four are counted apart."""

    SMALL = 0
    """One answer, from a few rows."""
    EXPENSIVE = 1
    """Much work in the database or the store for one question."""
    STREAM = 2
    """Bytes of blobs: memory for parts, connections to the store."""
    WATCH = 3
    """A stream that mostly waits."""


_LABELS = ("small_calls", "expensive_calls", "streams", "watches")
_STREAM_KINDS = frozenset({"WriteUpload", "ReadBlob"})
EXPENSIVE = frozenset(
    {
        *("SearchVersions", "CompareVersions", "DiffVersions", "QueryLineage", "FinalizeVersion"),
        *("VerifyVersion", "VerifyAuditChain", "ExportAuditEvents", "ListAuditEvents"),
        *("CopyModelBlobs", "CollectGarbage", "RecountNamespaceUsage", "GetComplianceReport"),
        *("RecommendVersion", "CheckRegression", "EvaluateGates", "GetBillOfMaterials"),
        *("GetSignatureVerdict", "GetProvenanceStatement", "GetDeploymentSheet"),
    }
)


@functools.cache
def kind_of(method: str) -> Kind:
    """What a method's calls count as."""
    if method == "Watch":
        return Kind.WATCH
    if method in _STREAM_KINDS:
        return Kind.STREAM
    return Kind.EXPENSIVE if method in EXPENSIVE else Kind.SMALL


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one principal may have of one kind; 0 is no limit."""

    per_s: int
    at_once: int


_FREE = Allowance(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one server process; 0 is no limit. `config.py` has what is usual.

    Attributes:
        allowances: of one principal, by `Kind`.
        running_calls: calls of ours under way, of whomever.
        streams_per_connection: streams and watches of one connection.
        deadline_s: longest that a call with one answer may take, whatever its caller says.
        reader_stall_s: how long a caller may not read what a stream has for it.
        upload_bytes_per_s: how slowly a part may come in; whoever stores parts keeps this one.
        connections: connections that are open.
    """

    allowances: tuple[Allowance, Allowance, Allowance, Allowance] = (_FREE, _FREE, _FREE, _FREE)
    running_calls: int = 0
    streams_per_connection: int = 0
    deadline_s: int = 0
    reader_stall_s: int = 0
    upload_bytes_per_s: int = 0
    connections: int = 0


@dataclass(slots=True)
class _Share:
    """What one principal has now: calls by kind, and when the next of each kind is in its pace.

    The second is the generic cell rate algorithm (ITU-T I.371), a token bucket in one number.
    """

    running: list[int] = field(default_factory=lambda: [0] * len(Kind))
    due_at: list[float] = field(default_factory=lambda: [0.0] * len(Kind))

    def is_idle(self, now: float) -> bool:
        """Whether forgetting it would change nothing."""
        return not any(self.running) and max(self.due_at) <= now


class Limiter:
    """Keeps the counts of one server; each call holds a `Slot`.

    Args:
        limits: what is allowed.
        clock: seconds that never go back.

    Attributes:
        refused: calls that were refused, by the limit's name.
        running: calls under way.
    """

    def __init__(
        self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits or Limits()
        self.refused: dict[str, int] = {}
        self.running = 0
        self._clock = clock
        self._shares: dict[str, _Share] = {}
        self._streams: dict[str, int] = {}

    def slot(self) -> "Slot":
        """A place for one call; it holds nothing yet. Leave it with the call's end."""
        return Slot(self)

    def timeout_s(self, remaining_s: float | None, usual_s: float) -> float | None:
        """How long a call with one answer may take by our clock; None: its caller's will do.

        Args:
            remaining_s: what its caller gives it, if they say.
            usual_s: what it gets if they do not.
        """
        if remaining_s is None:
            return usual_s
        most_s = self.limits.deadline_s
        return most_s if most_s and remaining_s > most_s else None

    def refuse(self, limit: str, allowed: int, whose: str, retry_after_s: float) -> None:
        """Count a refusal and raise it."""
        self.refused[limit] = self.refused.get(limit, 0) + 1
        raise errors.Throttled(
            f"{whose} may have {allowed:,} {_words(limit)}; try again in a moment",
            retry_after_s=retry_after_s,
            limit=limit,
            allowed=allowed,
        )

    def claim(self, kind: Kind, principal: str) -> _Share:
        """Count a call of a principal, unless it is one too many."""
        share = self._shares.get(principal) or self._new_share(principal)
        allowance = self.limits.allowances[kind]
        if allowance.at_once and share.running[kind] >= allowance.at_once:
            limit = f"{_LABELS[kind]}_at_once"
            self.refuse(limit, allowance.at_once, "one principal", _RETRY_AT_ONCE_S)
        if allowance.per_s:
            self._keep_pace(share, kind, allowance.per_s)
        share.running[kind] += 1
        return share

    def claim_stream(self, connection: str) -> None:
        """Count a stream of a connection, unless it is one too many."""
        open_now, most = self._streams.get(connection, 0), self.limits.streams_per_connection
        if most and open_now >= most:
            self.refuse("streams_per_connection", most, "one connection", _RETRY_AT_ONCE_S)
        self._streams[connection] = open_now + 1

    def end_stream(self, connection: str) -> None:
        """A stream of the connection is over."""
        left = self._streams[connection] - 1
        if left:
            self._streams[connection] = left
        else:
            del self._streams[connection]

    def _keep_pace(self, share: _Share, kind: Kind, per_s: int) -> None:
        now = self._clock()
        due_at = max(share.due_at[kind], now) + 1 / per_s
        early_s = due_at - now - _BURST_S
        if early_s > _ROUNDING_S:
            self.refuse(f"{_LABELS[kind]}_per_s", per_s, "one principal", early_s)
        share.due_at[kind] = due_at

    def _new_share(self, principal: str) -> _Share:
        if len(self._shares) >= _REMEMBERED:
            now = self._clock()
            self._forget([name for name, share in self._shares.items() if share.is_idle(now)])
        share = self._shares[principal] = _Share()
        return share

    def _forget(self, principals: Iterable[str]) -> None:
        for principal in principals:
            del self._shares[principal]


def _words(limit: str) -> str:
    """A limit's name as part of a sentence."""
    plain = limit.removesuffix("_per_connection")
    return plain.replace("_per_s", " a second").replace("_", " ")


class Slot:
    """What one call holds of the limits; use it as a context manager."""

    __slots__ = ("_connection", "_entered", "_kind", "_limiter", "_share")

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._entered = False
        self._share: _Share | None = None
        self._kind = Kind.SMALL
        self._connection = ""

    def __enter__(self) -> Self:
        return self

    def enter(self) -> None:
        """Take a place among the server's calls; raises `errors.Throttled` if there is none."""
        limiter = self._limiter
        most = limiter.limits.running_calls
        if most and limiter.running >= most:
            limiter.refuse("running_calls", most, "this server", _RETRY_AT_ONCE_S)
        limiter.running += 1
        self._entered = True

    def claim(self, method: str, principal: str, connection: str) -> None:
        """Take a place among the principal's calls, for a stream also among the connection's.

        Raises `errors.Throttled` if there is none.
        """
        self._kind = kind_of(method)
        self._share = self._limiter.claim(self._kind, principal)
        if self._kind >= Kind.STREAM:
            self._limiter.claim_stream(connection)
            self._connection = connection

    def __exit__(self, *_exc: object) -> None:
        if self._connection:
            self._limiter.end_stream(self._connection)
        if self._share is not None:
            self._share.running[self._kind] -= 1
        if self._entered:
            self._limiter.running -= 1
