"""Look-ups at the same time share statements, and each caller still gets its own answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from modelkeep.domain import errors
from modelkeep.storage import database, gathering

ONE = "SELECT $1::text || $2 || $3 AS joined WHERE $1 <> 'none'"
MANY = gathering.many(ONE)


class Counted:
    """A database that counts statements and can be made to fail."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self.connections = 0
        self.failure: Exception | None = None

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[database.Connection]:
        self.connections += 1
        if self.failure is not None:
            raise self.failure
        async with self._db.connection() as connection:
            yield connection


def joined(row: Any) -> str:
    return str(row["joined"])


@pytest.fixture
def counted(db: database.Database) -> Counted:
    return Counted(db)


@pytest.fixture
def gathered(counted: Counted) -> gathering.Gathered[str]:
    return gathering.Gathered(counted, ONE, MANY, joined)  # type: ignore[arg-type]


async def test_one_alone_is_answered(gathered: gathering.Gathered[str]) -> None:
    assert await gathered.find(("a", "b", "c")) == "abc"
    assert await gathered.find(("none", "b", "c")) is None


async def test_many_at_once_share_statements_and_get_their_own_answers(
    gathered: gathering.Gathered[str], counted: Counted
) -> None:
    keys = [("a" if n % 3 else "none", str(n % 20), "c") for n in range(100)]
    found = await asyncio.gather(*map(gathered.find, keys))
    assert found == [None if key[0] == "none" else "".join(key) for key in keys]
    assert counted.connections == 2


async def test_calls_one_after_the_other_are_never_left_waiting(
    gathered: gathering.Gathered[str],
) -> None:
    async def ask(caller: int) -> None:
        for n in range(50):
            assert await gathered.find((str(caller), str(n), "c")) == f"{caller}{n}c"

    async with asyncio.timeout(30):
        await asyncio.gather(*map(ask, range(3)))


async def test_a_failure_reaches_every_caller_and_the_next_calls_work(
    gathered: gathering.Gathered[str], counted: Counted
) -> None:
    counted.failure = errors.Unavailable("away")
    asked = (gathered.find(("a", str(n), "c")) for n in range(5))
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(failure) for failure in found] == [errors.Unavailable] * 5
    counted.failure = None
    assert await gathered.find(("a", "b", "c")) == "abc"


async def test_a_caller_that_gives_up_takes_nobody_with_it(
    gathered: gathering.Gathered[str],
) -> None:
    calls = [asyncio.create_task(gathered.find(("a", str(n), "c"))) for n in range(6)]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[3].cancel()
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) is asyncio.CancelledError for one in found] == [True, False, False] * 2
    assert [one for one in found if isinstance(one, str)] == ["a1c", "a2c", "a4c", "a5c"]
