"""How long to go on trying when a transfer makes no progress."""

import asyncio
import random
import time
from collections.abc import Callable

from modelkeep.client import errors, progress

DEFAULT_STALL_S = 60.0
THROTTLED = "THROTTLED"
"""The reason of a call that was refused because there are too many, or too fast."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_PASSING_CODES = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED", "INTERNAL", "UNKNOWN"}
)
"""INTERNAL and UNKNOWN are how a cut connection sometimes shows; the time limit bounds them."""


def is_passing(failure: errors.RegistryError) -> bool:
    """Whether the same transfer may succeed a little later."""
    if isinstance(failure, errors.StoreOutOfReach | errors.TLSFailure):
        return False
    return failure.code in _PASSING_CODES or _is_busy(failure)


def pause_s(failure: errors.RegistryError) -> float:
    """How long to wait if nothing was done because the server is asked too much; 0 otherwise."""
    if failure.reason != THROTTLED:
        return 0.0
    # A little longer than told, and not all clients the same: else they come back together.
    return max(failure.retry_after_s, _FIRST_PAUSE_S) * random.uniform(1, 1.25)  # noqa: S311 - no secret


def _is_busy(failure: errors.RegistryError) -> bool:
    # Uploads end by themselves; bytes are freed only by somebody who removes something.
    return isinstance(failure, errors.LimitReached) and (
        failure.quota == "open_uploads" or failure.reason == THROTTLED
    )


class Patience:
    """Pauses between attempts that grow, and gives up after so long without progress.

    Args:
        stall_s: the time without progress after which the last failure is raised, in seconds.
        listener: hears that the transfer was interrupted.
        may_pass: which failures are worth another attempt.
    """

    def __init__(
        self,
        stall_s: float,
        listener: progress.Progress,
        may_pass: Callable[[errors.RegistryError], bool] = is_passing,
    ) -> None:
        self._stall_s = stall_s
        self._listener = listener
        self._may_pass = may_pass
        self._best_bytes = 0
        self._failing_since: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def reached(self, done_bytes: int) -> None:
        """Note how far the transfer is; further than ever before starts the time anew."""
        if done_bytes > self._best_bytes:
            self._best_bytes = done_bytes
            self._failing_since = None
            self._pause_s = _FIRST_PAUSE_S

    async def after(self, failure: errors.RegistryError) -> None:
        """Wait before the next attempt.

        Raises:
            RegistryError: `failure` itself, if it cannot pass or lasted too long.
        """
        if not self._may_pass(failure):
            raise failure
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
            what = "Waiting" if _is_busy(failure) else "Interrupted, trying again"
            self._listener.noted(f"{what}: {failure.message}")
        if now - self._failing_since >= self._stall_s:
            raise failure
        # Who is away comes back any moment; who is busy knows better than we do for how long.
        await asyncio.sleep(max(self._pause_s, failure.retry_after_s if _is_busy(failure) else 0))
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
