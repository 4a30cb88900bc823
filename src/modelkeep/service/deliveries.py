"""Use cases of the log of deliveries."""

import functools
from collections.abc import Collection, Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, names, pages, webhooks
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import deliveries as rows
from modelkeep.storage import webhooks as webhook_rows


class Deliveries:
    """Shows what became of events for a webhook, and has one delivered again."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def get(
        self, caller: callers.Caller, name: names.DeliveryName
    ) -> tuple[webhooks.Delivery, Sequence[webhooks.Attempt]]:
        """A delivery and the latest attempts at it, the last first; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_WEBHOOK, name)
        async with self._db.connection() as connection:
            webhook_id = (await webhook_rows.get(connection, name.parent)).webhook_id
            delivery = await rows.get(connection, webhook_id, name)
            return delivery, await rows.list_attempts(connection, webhook_id, name.sequence)

    async def list(
        self,
        caller: callers.Caller,
        parent: names.WebhookName,
        page: pages.PageRequest,
        states: Collection[webhooks.DeliveryState],
    ) -> pages.Page[webhooks.Delivery]:
        """A page of a webhook's deliveries in these states (none: all), the newest event first.

        Raises `errors.NotFound` (webhook).
        """
        policy.require(caller, policy.Action.READ_WEBHOOK, parent)
        async with self._db.connection() as connection:
            webhook_id = (await webhook_rows.get(connection, parent)).webhook_id
            wanted = states or tuple(webhooks.DeliveryState)
            return await rows.list_page(connection, webhook_id, parent, page, wanted)

    async def redeliver(
        self, caller: callers.Caller, once: changes.Once, name: names.DeliveryName
    ) -> webhooks.Delivery:
        """Have an event delivered again, or now if it is pending.

        Raises `errors.NotFound`, and `errors.FailedPrecondition` if the webhook is disabled or the
        event has been compacted.
        """
        policy.require(caller, policy.Action.REDELIVER, name)
        body = functools.partial(_redeliver, name)
        return await self._changes.apply(caller, once, webhooks.Delivery, body)


async def _redeliver(name: names.DeliveryName, change: changes.Change) -> webhooks.Delivery:
    connection = change.connection
    hook = await webhook_rows.lock(connection, name.parent)
    present = await rows.lock(connection, hook.webhook_id, name)
    if not hook.webhook.fields.enabled:
        raise errors.FailedPrecondition(
            f"{name.parent} is disabled: {hook.webhook.disabled_reason}; enable it first",
            reason="WEBHOOK_DISABLED",
        )
    if not await rows.event_exists(connection, hook.namespace_id, name.sequence):
        raise errors.FailedPrecondition(
            f"event {name.sequence} is gone from the log and cannot be delivered any more",
            reason="EVENTS_COMPACTED",
        )
    if present.state is webhooks.DeliveryState.PENDING:
        await rows.hurry(connection, hook.webhook_id, name.sequence)
    else:
        await rows.reopen(connection, hook.webhook_id, name.sequence)
    before = {"state": present.state.value}
    event = events.Event("webhook.redelivered", name, before, {"state": "pending"})
    change.record(name.namespace, event)
    return await rows.get(connection, hook.webhook_id, name)
