"""The keys of one issuer: fetched once for all who wait, renewed, kept while it is away."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import structlog

from modelkeep.authn import fetching, issuers, keys
from modelkeep.domain import errors

FRESH_S = 600.0
"""For so long nobody asks again; after that the next call asks, and does not wait for it."""
BETWEEN_FETCHES_S = 10.0
"""However many unknown key ids come, the issuer is asked no more often than this."""
_log = structlog.get_logger()


class KeySet:
    """Looks up keys by their id.

    Args:
        issuer: whose.
        fetch: asks the issuer for what it lists.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        issuer: issuers.Issuer,
        fetch: Callable[[issuers.Issuer], Awaitable[list[object]]] = fetching.keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._by_id: dict[str, list[keys.Key]] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str, algorithm: str) -> keys.Key | None:
        """The key with that id for that algorithm; None if the issuer lists none.

        Without an id, the only key for the algorithm, if there is just one.

        Raises:
            errors.Unavailable: it is not among those we have, or ours are too old, and the issuer
                does not answer: nobody knows whether there is one.
        """
        if self._age_s() > self._issuer.keys_kept_s:
            await self._renewed()
            self._require_usable()
        elif self._age_s() > FRESH_S:
            self._start()
        found = self._look(key_id, algorithm)
        if found is None:
            await self._renewed()
            found = self._look(key_id, algorithm)
        if found is None and self._failed:
            raise self._unavailable()
        return found

    async def close(self) -> None:
        """Stop asking."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _age_s(self) -> float:
        return self._clock() - self._fetched_at

    def _look(self, key_id: str, algorithm: str) -> keys.Key | None:
        every = itertools.chain.from_iterable(self._by_id.values())
        listed = self._by_id.get(key_id, []) if key_id else every
        fitting = [key for key in listed if algorithm in key.algorithms]
        return fitting[0] if len(fitting) == 1 else None

    async def _renewed(self) -> None:
        """Wait until the issuer was asked, unless that was only just."""
        fetching_now = self._start()
        if fetching_now is not None:
            await asyncio.shield(fetching_now)

    def _start(self) -> "asyncio.Task[None] | None":
        """The fetch under way, or a new one; None if the last began only just."""
        if self._fetching is not None:
            return self._fetching
        if self._clock() - self._tried_at < BETWEEN_FETCHES_S:
            return None
        self._tried_at = self._clock()
        self._fetching = asyncio.create_task(self._try())
        return self._fetching

    async def _try(self) -> None:
        try:
            self._keep(await self._fetch(self._issuer))
        except fetching.Unfetched as failure:
            self._failed = True
            _log.warning("issuer.unreachable", issuer=self._issuer.issuer, error=str(failure))
        finally:
            self._fetching = None

    def _keep(self, listed: list[object]) -> None:
        """Take the place of what we had: a key that is not listed any more is good no more."""
        found, reasons = keys.fit(listed)
        if reasons:
            _log.info("issuer.keys_left_out", issuer=self._issuer.issuer, reasons=reasons[:10])
        if not found:  # that is a mishap rather than the end of every key
            raise fetching.Unfetched("it lists no key that is fit for use")
        by_id: dict[str, list[keys.Key]] = {}
        for key in found:
            by_id.setdefault(key.id, []).append(key)
        self._by_id, self._fetched_at, self._failed = by_id, self._clock(), False

    def _require_usable(self) -> None:
        if self._age_s() > self._issuer.keys_kept_s:
            self._by_id = {}
            raise self._unavailable()

    def _unavailable(self) -> errors.Unavailable:
        return errors.Unavailable(
            f"{self._issuer.issuer} does not tell its keys now, so the token cannot be verified",
            reason="ISSUER_UNAVAILABLE",
            issuer=self._issuer.issuer,
        )
