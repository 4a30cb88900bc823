"""Look-ups that wait at the same moment share one statement."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeAlias, TypeVar

from modelkeep.storage import database

T = TypeVar("T")
F = TypeVar("F", bound="asyncio.Future[Any]")
Key: TypeAlias = tuple[str, str, str]

_C = 'COLLATE "C"'


def many(statement: str, last: str = _C) -> str:
    """The form of a look-up by three texts that takes an array of each; `nth` says whose a row is.

    Args:
        statement: finds one row at most by $1, $2 and $3.
        last: collation of what $3 is compared with; the other two are names.
    """
    one = statement.replace("$1", f"k.a {_C}").replace("$2", f"k.b {_C}")
    # OFFSET 0 keeps the planner from joining tables as wholes: each key is looked up by index.
    return f"""SELECT k.nth, x.* FROM unnest($1::text[], $2::text[], $3::text[])
WITH ORDINALITY AS k (a, b, c, nth) CROSS JOIN LATERAL (
{one.replace("$3", f"k.c {last}")} OFFSET 0) x"""


class Gathered(Generic[T]):
    """One kind of look-up, one statement at a time: the more calls, the fewer statements each.

    Args:
        db: where to.
        one: finds one row at most by $1, $2 and $3.
        several: what `many` made of it; Postgres plans it anew for short arrays.
        from_row: makes the value of a row; the value is shared by all who asked for its key.
    """

    def __init__(
        self,
        db: database.Database,
        one: str,
        several: str,
        from_row: Callable[[database.Row], T],
    ) -> None:
        self._db = db
        self._one = one
        self._many = several
        self._from_row = from_row
        self._busy = False
        self._waiting: dict[Key, list[asyncio.Future[T | None]]] = {}
        self._running: asyncio.Task[None] | None = None  # the loop itself holds tasks weakly

    async def find(self, key: Key) -> T | None:
        """The value of the key, or None; always from a statement that is sent after this call."""
        if self._busy:
            future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(key, []).append(future)
            return await future
        self._busy = True
        try:
            return (await self._fetch([key])).get(key)
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._waiting:
            self._running = asyncio.create_task(self._run())
        else:
            self._busy = False

    async def _run(self) -> None:
        asked, self._waiting = self._waiting, {}
        try:
            found = await self._fetch(list(asked))
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller is told
            for future in _open(asked.values()):
                future.set_exception(error)
        else:
            for key, futures in asked.items():
                for future in _open([futures]):
                    future.set_result(found.get(key))
        finally:
            self._pass_on()

    async def _fetch(self, keys: list[Key]) -> dict[Key, T]:
        async with self._db.connection() as connection:
            if len(keys) == 1:
                row = await connection.fetchrow(self._one, *keys[0])
                return {keys[0]: self._from_row(row)} if row else {}
            columns = zip(*keys, strict=True)
            rows = await connection.fetch(self._many, *map(list, columns))
        return {keys[row["nth"] - 1]: self._from_row(row) for row in rows}


def _open(groups: Iterable[list[F]]) -> Iterator[F]:
    """The futures whose callers still wait: a caller may have met its deadline."""
    return (future for futures in groups for future in futures if not future.done())
