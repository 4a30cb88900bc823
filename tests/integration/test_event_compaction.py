"""Old events go, a bounded number at a time, and never before an enabled webhook had them."""

import datetime

import asyncpg
import pytest
from support import happening

from modelkeep.authz import caller as callers
from modelkeep.domain import errors, names, pages, subscriptions, webhooks
from modelkeep.outbound import posting, sealing
from modelkeep.service import changes, deliveries, delivering, event_compacting, settling
from modelkeep.service import webhooks as webhook_service
from modelkeep.storage import database, event_log

ACME = names.NamespaceName("acme")
OWNER = callers.anonymous(callers.Role.ADMIN, "test", "")
NOT_ONCE = changes.Once("", b"")
MONTH = event_compacting.Settings(datetime.timedelta(days=30), events=10, batches=3)


async def age(url: str, upto: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "UPDATE event_log SET occurred_at = now() - interval '31 days' WHERE seq <= $1", upto
    )
    await connection.close()


async def span(db: database.Database) -> tuple[int, int]:
    async with db.connection() as connection:
        found = await event_log.get_span(connection, ACME)
    return found.oldest, found.last


async def test_old_events_go_a_bounded_number_at_a_time(
    db: database.Database, database_url: str
) -> None:
    await happening.happen(db, 99)
    await age(database_url, 70)
    compactor = event_compacting.Compactor(db, MONTH)
    assert [await compactor.round() for _ in range(4)] == [30, 30, 10, 0]
    assert await span(db) == (71, 100)
    assert [seq for seq, _, _ in await happening.logged(database_url)] == list(range(71, 101))
    await happening.happen(db, 1)
    assert await span(db) == (71, 101)


async def test_when_all_is_old_all_goes_and_numbering_goes_on(
    db: database.Database, database_url: str
) -> None:
    await happening.happen(db, 4)
    await age(database_url, 5)
    assert await event_compacting.Compactor(db, MONTH).round() == 5
    assert await span(db) == (6, 5)
    await happening.happen(db, 1)
    assert [seq for seq, _, _ in await happening.logged(database_url)] == [6]


async def test_what_an_enabled_webhook_has_yet_to_get_stays(
    db: database.Database, database_url: str
) -> None:
    sealer = sealing.Sealer([b"k" * 32])
    hooks = webhook_service.Webhooks(db, sealer, http_allowed=False)
    only = subscriptions.EventFilter(actions=("model.updated",))
    fields = webhooks.WebhookFields("https://receiver.invalid/", filter=only)
    hook, _ = await hooks.create(OWNER, NOT_ONCE, ACME, fields)
    await happening.happen(db, 5)
    await age(database_url, 6)
    compactor = event_compacting.Compactor(db, MONTH)
    assert await compactor.round() == 1  # up to its cursor
    poster = posting.Poster((), 1)
    deliverer = delivering.Deliverer(db, poster, sealer, settling.Settler(db, settling.Settings()))
    assert await deliverer.plan()
    assert not await deliverer.plan()
    await poster.close()
    assert await compactor.round() == 1  # up to before the first that is pending
    assert await span(db) == (3, 7)
    disabled = await hooks.update(OWNER, NOT_ONCE, hook.name, {"enabled": False}, "")
    assert disabled.disabled_reason == "disabled by hand"
    await happening.happen(db, 2)
    await age(database_url, 9)
    assert await compactor.round() == 7
    await hooks.update(OWNER, NOT_ONCE, hook.name, {"enabled": True}, "")
    assert await deliverer.plan()
    log = deliveries.Deliveries(db)
    page = await log.list(OWNER, hook.name, pages.PageRequest(), ())
    lost = next(one for _, one in page.entries if one.action == "events.lost")
    assert lost.error == "events 8 to 9 were compacted before they could be delivered"
    assert lost.state is webhooks.DeliveryState.FAILED
    with pytest.raises(errors.FailedPrecondition) as refused:
        await log.redeliver(OWNER, NOT_ONCE, lost.name)
    assert refused.value.reason == "EVENTS_COMPACTED"
