"""Encrypts the secrets of all webhooks anew, so that an old key can go."""

import functools
from dataclasses import dataclass

from modelkeep.audit_chain import links
from modelkeep.authz import caller as callers
from modelkeep.domain import errors, events, names, sight
from modelkeep.outbound import sealing
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import webhook_secrets as rows

_ONCE = changes.Once("", b"")
_WEBHOOKS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Resealed:
    """What came of it.

    Attributes:
        webhooks: how many there are.
        changed: of how many the secrets are encrypted anew.
        unreadable: those of which no key at hand opens the secrets; they are as they were.
    """

    webhooks: int = 0
    changed: int = 0
    unreadable: tuple[names.WebhookName, ...] = ()

    def __add__(self, other: "Resealed") -> "Resealed":
        """Both together."""
        return Resealed(
            self.webhooks + other.webhooks,
            self.changed + other.changed,
            self.unreadable + other.unreadable,
        )


@dataclass(frozen=True, slots=True)
class _Page:
    """What came of some webhooks, and the row id of the last."""

    came: Resealed
    last: int


async def reseal(
    db: database.Database, sealer: sealing.Sealer, at_once: int = _WEBHOOKS_AT_ONCE
) -> Resealed:
    """Have the newest key encrypt the secrets of all webhooks; safe at any time, and again.

    Webhooks are locked so many at once, in a transaction of their own: what was done before an
    interruption stays done. What the newest key encrypts already is left alone.

    Raises `errors.FailedPrecondition` if there is no key.
    """
    sealer.require_key()
    caller = callers.Caller(callers.SYSTEM, "modelkeep admin", "")
    done, after = Resealed(), 0
    while True:
        body = functools.partial(_page, sealer, after, at_once)
        with sight.only(links.REGISTRY):
            page = await changes.Changes(db).apply(caller, _ONCE, _Page, body)
        done, after = done + page.came, page.last
        if page.came.webhooks < at_once:
            return done


async def _page(sealer: sealing.Sealer, after: int, size: int, change: changes.Change) -> _Page:
    async with database.widened(change.connection, sight.Work.RESEAL):
        page = await rows.lock_page(change.connection, after, size)
        came = sum([await _one(sealer, sealed, change) for sealed in page], Resealed())
    if came.changed:
        await namespace_rows.ensure_registry(change.connection)
        told: dict[str, events.Json] = {"webhooks": came.changed}
        event = events.Event("webhook.secrets_resealed", events.NamedResource(""), None, told)
        change.record(links.REGISTRY, event)
    return _Page(came, page[-1].webhook_id if page else after)


async def _one(sealer: sealing.Sealer, sealed: rows.Sealed, change: changes.Change) -> Resealed:
    purpose = sealed.name.webhook
    kept = None if sealed.is_over else sealed.previous
    try:
        secret = sealer.reseal(purpose, sealed.secret)
        previous = None if kept is None else sealer.reseal(purpose, kept)
    except errors.FailedPrecondition:
        return Resealed(webhooks=1, unreadable=(sealed.name,))
    if (secret, previous) == (sealed.secret, sealed.previous):
        return Resealed(webhooks=1)
    await rows.put(change.connection, sealed.webhook_id, secret, previous)
    return Resealed(webhooks=1, changed=1)
