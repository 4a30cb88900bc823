"""Decides what an attempt to deliver means: delivered, later again, given up, webhook disabled."""

import asyncio
import dataclasses
import datetime
import functools
import random
from dataclasses import dataclass

import structlog

from modelkeep.authz import caller as callers
from modelkeep.domain import events, sight, webhooks
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import deliveries as delivery_rows
from modelkeep.storage import delivering as rows
from modelkeep.storage import webhooks as webhook_rows

_log = structlog.get_logger()
_ONCE = changes.Once("", b"")
GONE = "the event was compacted before it could be delivered"
_MOST_DOUBLINGS = 30
_WRITERS = 4
"""Attempts noted at the same time; the connections are there for callers, too."""
_HTTP_OK = range(200, 300)
_HTTP_REDIRECT = range(300, 400)
_HTTP_GONE = 410


@dataclass(frozen=True, slots=True)
class Settings:
    """How patient deliveries are.

    Attributes:
        first_retry_s: longest pause after the first failure, in seconds; it doubles each time.
        longest_retry_s: longest pause there is.
        give_up_after: after so long an event is given up, and the next about its resource goes.
        disable_after: after so long of nothing but failure the webhook is disabled.
    """

    first_retry_s: float = 5.0
    longest_retry_s: float = 3600.0
    give_up_after: datetime.timedelta = datetime.timedelta(days=1)
    disable_after: datetime.timedelta = datetime.timedelta(days=5)


class Settler:
    """Notes what came of attempts."""

    def __init__(self, db: database.Database, settings: Settings) -> None:
        self._settings = settings
        self._writing = asyncio.Semaphore(_WRITERS)
        self._changes = changes.Changes(db)

    async def settle(self, claimed: rows.Claim, order: rows.Order, answer: webhooks.Answer) -> None:
        """Keep the attempt and decide, in one transaction."""
        _log.info(
            "webhook.attempt",
            webhook=order.name.webhook,
            host=webhooks.host_of(order.url),
            sequence=claimed.sequence,
            attempt=claimed.attempt,
            status=answer.status,
            error=answer.error,
            duration_ms=answer.duration_ms,
        )
        body = functools.partial(self._settle, claimed, answer)
        async with self._writing:
            with sight.only(order.name.namespace):
                await self._changes.apply(callers.deliverer(), _ONCE, type(None), body)

    async def _settle(
        self, claimed: rows.Claim, answer: webhooks.Answer, change: changes.Change
    ) -> None:
        connection = change.connection
        hook = await webhook_rows.find_locked(connection, claimed.webhook_id)
        if hook is None:
            return  # deleted meanwhile
        await rows.log_attempt(connection, claimed, answer)
        if answer.error == GONE:
            await _end(connection, claimed, webhooks.DeliveryState.FAILED, GONE)
        elif answer.status in _HTTP_OK:
            await webhook_rows.note_success(connection, hook.webhook_id)
            await _end(connection, claimed, webhooks.DeliveryState.DELIVERED, "")
        else:
            await self._fail(claimed, hook, answer, change)

    async def _fail(
        self,
        claimed: rows.Claim,
        hook: webhook_rows.Stored,
        answer: webhooks.Answer,
        change: changes.Change,
    ) -> None:
        connection = change.connection
        error = answer.error or _said(answer.status)
        tried = await rows.find_patience(connection, claimed)
        if tried is not None and tried >= self._settings.give_up_after:
            given_up = f"given up after {_whole(tried)}: {error}"
            await _end(connection, claimed, webhooks.DeliveryState.FAILED, given_up)
        else:
            await rows.try_later(connection, claimed, error, self._pause_s(claimed.tries))
        failing = await webhook_rows.note_failure(connection, hook.webhook_id)
        if hook.webhook.fields.enabled and answer.status == _HTTP_GONE:
            await _disable(hook, "the receiver answered 410 Gone", change)
        elif hook.webhook.fields.enabled and failing >= self._settings.disable_after:
            await _disable(
                hook, f"nothing but failure for {_whole(failing)}; last: {error}", change
            )

    def _pause_s(self, tries: int) -> float:
        """Exponential back-off with full jitter, in seconds."""
        doubled = self._settings.first_retry_s * 2.0 ** min(tries - 1, _MOST_DOUBLINGS)
        longest = min(self._settings.longest_retry_s, doubled)
        return random.uniform(0, longest)  # noqa: S311 - no secret


def _said(status: int | None) -> str:
    redirect = "; redirects are not followed" if status in _HTTP_REDIRECT else ""
    return f"the receiver answered {status}{redirect}"


def _whole(span: datetime.timedelta) -> datetime.timedelta:
    return datetime.timedelta(seconds=round(span.total_seconds()))


async def _end(
    connection: database.Connection,
    claimed: rows.Claim,
    state: webhooks.DeliveryState,
    error: str,
) -> None:
    resource = await rows.finish(connection, claimed, state, error)
    if resource is not None:
        await delivery_rows.promote(connection, claimed.webhook_id, resource)


async def _disable(hook: webhook_rows.Stored, reason: str, change: changes.Change) -> None:
    name = hook.webhook.name
    fields = dataclasses.replace(hook.webhook.fields, enabled=False)
    await webhook_rows.update(change.connection, hook.webhook_id, fields, reason)
    after: dict[str, events.Json] = {"enabled": False, "reason": reason}
    change.record(name.namespace, events.Event("webhook.disabled", name, {"enabled": True}, after))
