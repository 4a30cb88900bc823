"""Delivers events to webhooks: plans, claims, posts, and notes what came of it.

Any number of replicas may do so. What is to be delivered derives from the event log by a cursor for
each webhook, in the transaction that advances it, so a crash loses nothing. A delivery is claimed
for so long, and fenced; of one webhook and resource only one is ever ready. Nothing of the database
is held while a receiver is waited for.
"""

import asyncio
import collections
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from modelkeep.domain import errors, events, names, sight, signatures, webhooks
from modelkeep.outbound import posting, sealing
from modelkeep.service import settling
from modelkeep.storage import database, event_log
from modelkeep.storage import delivering as rows
from modelkeep.storage import webhooks as webhook_rows

_log = structlog.get_logger()
_LEASE_MARGIN_S = 15.0
_LAST_WAIT_S = 2.0
"""What is under way at the end gets so long; after that it is due again when its claim is over."""
_PLANNED_EVENTS = 500
_PLANNED_WEBHOOKS = 50


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is done at once, and how often is looked for work.

    Attributes:
        at_once: deliveries under way in this process, at most.
        each: those of one webhook, at most; 1 while it fails, so that others are not held up.
        timeout_s: how long one request may take, in seconds; a claim is a little longer.
        soon_s: pause while there is work, in seconds.
        idle_s: the longest pause.
    """

    at_once: int = 64
    each: int = 4
    timeout_s: float = 15.0
    soon_s: float = 0.05
    idle_s: float = 1.0


class Deliverer:
    """The part of a server that delivers."""

    def __init__(
        self,
        db: database.Database,
        poster: posting.Poster,
        sealer: sealing.Sealer,
        settler: settling.Settler,
        settings: Settings | None = None,
    ) -> None:
        self._db = db
        self._poster = poster
        self._sealer = sealer
        self._settler = settler
        self._settings = settings or Settings()
        self._running: set[asyncio.Task[None]] = set()
        self._busy: collections.Counter[int] = collections.Counter()
        self._failing: set[int] = set()

    async def run(self) -> None:
        """Work until cancelled; what is under way is then dropped, and due again a little later."""
        pause_s = self._settings.soon_s
        try:
            while True:
                worked = await self._attempt()
                soon_s, idle_s = self._settings.soon_s, self._settings.idle_s
                pause_s = soon_s if worked else min(pause_s * 1.5, idle_s)
                await asyncio.sleep(pause_s)
        finally:
            if self._running:
                await asyncio.wait(self._running, timeout=_LAST_WAIT_S)
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _attempt(self) -> bool:
        try:
            planned = await self.plan()
            return await self._begin() or planned
        except errors.ModelkeepError as error:
            _log.warning("webhooks.round_failed", error=error.message)
        except Exception:  # noqa: BLE001 - one broken round must not end all that would follow
            _log.exception("webhooks.round_broken")
        return False

    async def plan(self) -> bool:
        """Derive deliveries from new events, a bounded number; whether there were any."""
        async with self._db.everywhere(sight.Work.DELIVER) as connection:
            behind = await rows.list_behind(connection, _PLANNED_WEBHOOKS)
        for webhook_id in behind:
            everywhere = self._db.everywhere(sight.Work.DELIVER)
            async with everywhere as connection, connection.transaction():
                await _plan(connection, webhook_id)
        return bool(behind)

    async def _begin(self) -> bool:
        """Claim and start what is due, as much as there is room for."""
        began = False
        while len(self._running) < self._settings.at_once:
            async with self._db.everywhere(sight.Work.DELIVER) as connection:
                full = [hook for hook, count in self._busy.items() if count >= self._most(hook)]
                lease_s = self._settings.timeout_s + _LEASE_MARGIN_S
                claimed = await rows.claim(connection, full, lease_s)
                order = None if claimed is None else await rows.find_order(connection, claimed)
            if claimed is None:
                break
            began = True
            if order is not None:
                self._start(claimed, order)
        return began

    def _most(self, webhook_id: int) -> int:
        return 1 if webhook_id in self._failing else self._settings.each

    def _start(self, claimed: rows.Claim, order: rows.Order) -> None:
        (self._failing.add if order.failing else self._failing.discard)(claimed.webhook_id)
        self._busy[claimed.webhook_id] += 1
        task = asyncio.create_task(self._deliver(claimed, order))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver(self, claimed: rows.Claim, order: rows.Order) -> None:
        try:
            answer = await self._post(order)
            await self._settler.settle(claimed, order, answer)
        except errors.ModelkeepError as error:  # the claim runs out, and it is due again
            _log.warning("webhook.not_settled", webhook=order.name.webhook, error=error.message)
        except Exception:  # noqa: BLE001 - one broken delivery must not end the others
            _log.exception("webhook.broken", webhook=order.name.webhook)
        finally:
            self._busy[claimed.webhook_id] -= 1
            if not self._busy[claimed.webhook_id]:
                del self._busy[claimed.webhook_id]

    async def _post(self, order: rows.Order) -> webhooks.Answer:
        if order.event is None:
            return webhooks.Answer(None, settling.GONE, "", 0)
        try:
            signing = [self._sealer.unseal(order.name.webhook, sealed) for sealed in order.secrets]
        except errors.FailedPrecondition as error:
            return webhooks.Answer(None, error.message, "", 0)
        body = body_of(order.name, order.event)
        identity = f"msg_{order.name.webhook}_{order.event.sequence}"
        headers = signatures.headers(identity, int(time.time()), body, signing)
        return await self._poster.post(order.url, body, headers)


def body_of(name: names.WebhookName, event: events.Record) -> bytes:
    """What is posted: the same bytes for every attempt."""
    told = {
        "type": event.action,
        "timestamp": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "data": {
            "namespace": str(name.parent),
            "sequence": event.sequence,
            "resource": event.resource,
            "actor": event.actor,
            "before": None if event.before is None else json.loads(event.before),
            "after": None if event.after is None else json.loads(event.after),
        },
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


async def _plan(connection: database.Connection, webhook_id: int) -> None:
    hook = await webhook_rows.find_locked(connection, webhook_id, skip_locked=True)
    if hook is None or not hook.webhook.fields.enabled:
        return
    headers = await rows.list_headers(connection, hook.namespace_id, hook.cursor, _PLANNED_EVENTS)
    if not headers or headers[0][0] != hook.cursor + 1:
        await _note_lost(connection, hook, headers)
    elif headers:
        wanted = hook.webhook.fields.filter
        fitting = [header for header in headers if wanted.fits(*header[1:])]
        await rows.plan(connection, webhook_id, fitting, headers[-1][0])


async def _note_lost(
    connection: database.Connection,
    hook: webhook_rows.Stored,
    headers: Sequence[tuple[int, str, str]],
) -> None:
    """Go on behind what was compacted while the webhook was disabled, and say so."""
    parent = hook.webhook.name.parent
    span = await event_log.get_span(connection, parent)
    last = headers[0][0] - 1 if headers else span.compacted
    if last > hook.cursor:
        first = hook.cursor + 1
        await rows.note_lost(connection, hook.webhook_id, first, last, str(parent))
