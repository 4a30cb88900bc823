"""Which way the bytes of large files go: through the server, or straight to and from the store."""

import asyncio
import contextlib
import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelkeep.client import errors, records, store_errors

if TYPE_CHECKING:
    from modelkeep.client import store_http

AT_ONCE = 4
"""Requests to the store at the same time, over all files."""
_RANGES_HELD = 6
"""Ranges of at most 16 MiB in memory, over all files of a pull: on their way or waiting."""


class Via(enum.StrEnum):
    """What a push or a pull was told about the way of its bytes."""

    AUTO = "auto"
    STORE = "store"
    SERVER = "server"


class Route:
    """What all files of one push or pull know of the way to the store.

    The first failure closes the way for all of them, and the rest goes through the server; unless
    the way is strict: then one that leads nowhere is an error at once, any other is tried again.

    Args:
        line: the way to the store; None if nothing is to go there.
        least_bytes: of which size on files go there.
        is_strict: whether the server is no way out.

    Attributes:
        turns: bounds the requests that are prepared or under way.
        room: bounds the ranges that are in memory.
        direct_bytes: bytes that went this way.
    """

    def __init__(
        self, line: "store_http.StoreLine | None", least_bytes: int, *, is_strict: bool
    ) -> None:
        self._line = line
        self._least_bytes = least_bytes
        self._is_strict = is_strict
        self._is_open = line is not None
        self._has_worked = False
        self._avoided: set[str] = set()
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.room = asyncio.Semaphore(_RANGES_HELD)
        self.direct_bytes = 0

    @property
    def line(self) -> "store_http.StoreLine":
        """The way to the store, for what it takes."""
        if self._line is None:
            raise AssertionError("nothing goes to the store")
        return self._line

    def takes(self, name: str, size_bytes: int) -> bool:
        """Whether the bytes of that name go this way; small ones are not worth it."""
        return self._is_open and size_bytes >= self._least_bytes and name not in self._avoided

    def avoid(self, name: str) -> None:
        """Have the bytes of that name go through the server, which can tell what is wrong."""
        self._avoided.add(name)

    def moved(self, size_bytes: int) -> None:
        """So many bytes went this way."""
        self._has_worked = True
        self.direct_bytes += size_bytes

    def broken(
        self, host: str, why: store_errors.StoreAway | store_errors.StoreRefusal
    ) -> errors.RegistryError:
        """The error to raise when the store did not answer, or refused."""
        said = f"The store at {host} cannot be used from here ({why})"
        if not self._is_strict:
            self._is_open = False
            return errors.Unavailable(
                f"{said}; the rest goes through the server.", reason="STORE_BYPASSED"
            )
        if self._has_worked or (isinstance(why, store_errors.StoreAway) and why.was_reached):
            return errors.Unavailable(f"{said} at present.", reason="STORE_UNAVAILABLE")
        return errors.StoreOutOfReach(
            f"{said}; use --via server, or see to it that this machine reaches the store there.",
            reason="STORE_OUT_OF_REACH",
        )


@contextlib.contextmanager
def opened(via: Via, limits: records.Capabilities | None, stall_s: float) -> Iterator[Route]:
    """The route of one push or pull.

    Args:
        via: what was asked for.
        limits: what the server offers; None if nothing is to be sent.
        stall_s: how long a connection to the store may move nothing, in seconds.

    Raises:
        StoreOutOfReach: the store was asked for, and the server gives out no URLs of it.
    """
    if via is Via.SERVER or limits is None or not limits.direct_transfer:
        if via is Via.STORE and limits is not None:
            raise _not_offered()
        yield Route(None, 0, is_strict=False)
        return
    from modelkeep.client import store_http  # noqa: PLC0415 - most commands need no HTTP client

    is_strict = via is Via.STORE
    # A blob of one part is there sooner by one stream than by four requests.
    least_bytes = 1 if is_strict else limits.min_part_bytes + 1
    with store_http.StoreLine(AT_ONCE, stall_s) as line:
        yield Route(line, least_bytes, is_strict=is_strict)


def _not_offered() -> errors.StoreOutOfReach:
    return errors.StoreOutOfReach(
        "This registry gives out no URLs of its store; go without --via store, or have whoever runs"
        " it set MODELKEEP_S3_PUBLIC_ENDPOINT.",
        reason="DIRECT_TRANSFER_OFF",
    )
