"""Whether calls should be sent here: it takes them, and what it stands on answers."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from modelkeep.domain import errors

_WAIT_S = 4.0
_FRESH_S = 1.0
_log = structlog.get_logger()

Check = Callable[[], Awaitable[None]]
"""Raises unless the part answers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether calls should be sent here, and what was found, a line for each part."""

    ready: bool
    lines: tuple[str, ...]


class Readiness:
    """Looks at the server and at what it stands on.

    However often it is asked, each part is asked once at a time, and once a second at most.

    Args:
        closed: why the server takes no calls, or '' if it takes them.
        checks: what it stands on, by name.
    """

    def __init__(self, closed: Callable[[], str], checks: Mapping[str, Check]) -> None:
        self._closed = closed
        self._looks = {name: _Look(check) for name, check in checks.items()}

    async def look(self) -> Verdict:
        """Ask every part, for a few seconds at most."""
        found = {"server": self._closed()}
        if not found["server"]:
            answers = await asyncio.gather(*(look.trouble() for look in self._looks.values()))
            found |= zip(self._looks, answers, strict=True)
        lines = tuple(f"{name}: {trouble or 'ok'}" for name, trouble in found.items())
        return Verdict(not any(found.values()), lines)

    async def close(self) -> None:
        """End what is still being asked."""
        for look in self._looks.values():
            await look.close()


class _Look:
    """One part, asked by one task at a time: a part that hangs is not asked more and more."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._asking: asyncio.Task[str] | None = None
        self._answered_at = 0.0

    async def trouble(self) -> str:
        """What is wrong with it, or ''."""
        if self._asking is None or self._is_stale():
            self._asking = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait([self._asking], timeout=_WAIT_S)
        return self._asking.result() if done else f"does not answer within {_WAIT_S:g} s"

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking

    def _is_stale(self) -> bool:
        old = time.monotonic() - self._answered_at > _FRESH_S
        return self._asking is not None and self._asking.done() and old

    async def _ask(self) -> str:
        try:
            await self._check()
        except errors.ModelkeepError as error:
            return error.message
        except Exception as error:  # noqa: BLE001 - whatever it is, calls should go elsewhere
            _log.error("readiness.unexpected_error", exc_info=error)
            return "failed; the log says more"
        finally:
            self._answered_at = time.monotonic()
        return ""
