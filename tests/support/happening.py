"""Events without what they tell of: appended as any change appends them."""

import asyncio
from collections.abc import Sequence

import asyncpg

from modelkeep.domain import events, names, sight
from modelkeep.storage import database
from modelkeep.storage import events as rows

ORIGIN = rows.Origin("tester", "test", "")


async def happen(
    db: database.Database, count: int, model: str = "m", *, action: str = "model.updated"
) -> None:
    """So many changes of a model of `acme`, each in a transaction of its own."""
    for number in range(count):
        event = events.Event(action, names.ModelName("acme", model), None, {"number": number})
        with sight.only("acme"):
            async with db.transaction() as connection:
                await rows.append(connection, "acme", ORIGIN, event)


async def happen_at_once(db: database.Database, writers: int, count: int) -> None:
    """So many changes by each of so many writers at the same time, each about its own model."""
    await asyncio.gather(*(happen(db, count, f"m{number}") for number in range(writers)))


async def compact(url: str, upto: int) -> None:
    """Delete the events of `acme` up to a sequence, as compaction does."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DELETE FROM event_log WHERE seq <= $1", upto)
        await connection.execute("UPDATE event_counter SET compacted_seq = $1", upto)
    finally:
        await connection.close()


async def logged(url: str) -> Sequence[tuple[int, str, str]]:
    """Sequence, action and resource of all events there are, in order."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT seq, action, resource FROM event_log ORDER BY seq")
    finally:
        await connection.close()
    return [(row["seq"], row["action"], row["resource"]) for row in rows]
