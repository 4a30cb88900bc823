"""Use cases of webhooks."""

import dataclasses
import datetime
import functools
import secrets
from collections.abc import Mapping
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, limits, names, pages, signatures, webhooks
from modelkeep.outbound import sealing
from modelkeep.service import changes
from modelkeep.storage import codec, database
from modelkeep.storage import deliveries as delivery_rows
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import webhooks as rows

_UID_BYTES = 8
OVERLAP = datetime.timedelta(hours=24)
"""So long the secret before a rotation signs beside the new one."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Issued:
    """What is kept of an answer with a secret: the secret is encrypted, as everywhere."""

    webhook: webhooks.Webhook
    sealed_hex: str


class Webhooks:
    """Creates, reads, changes and deletes webhooks.

    Args:
        db: where they are.
        sealer: encrypts their secrets.
        http_allowed: whether a URL may be http.
    """

    def __init__(
        self, db: database.Database, sealer: sealing.Sealer, *, http_allowed: bool
    ) -> None:
        self._db = db
        self._sealer = sealer
        self._http_allowed = http_allowed
        self._changes = changes.Changes(db)

    async def create(
        self,
        caller: callers.Caller,
        once: changes.Once,
        parent: names.NamespaceName,
        fields: webhooks.WebhookFields,
    ) -> tuple[webhooks.Webhook, str]:
        """Create a webhook; it and its secret, which nobody can read again.

        Raises `errors.NotFound` (namespace), `errors.ResourceExhausted` (too many), and
        `errors.FailedPrecondition` if the server has no key to keep the secret with.
        """
        policy.require(caller, policy.Action.CREATE_WEBHOOK, parent)
        webhooks.require_scheme(fields.url, http_allowed=self._http_allowed)
        name = names.WebhookName(parent.namespace, secrets.token_hex(_UID_BYTES))
        sealed = self._sealer.seal(name.webhook, signatures.new_secret())
        body = functools.partial(_create, name, fields, sealed)
        return self._told(await self._changes.apply(caller, once, _Issued, body))

    async def get(self, caller: callers.Caller, name: names.WebhookName) -> webhooks.Webhook:
        """Read a webhook; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_WEBHOOK, name)
        async with self._db.connection() as connection:
            return (await rows.get(connection, name)).webhook

    async def list(
        self, caller: callers.Caller, parent: names.NamespaceName, page: pages.PageRequest
    ) -> pages.Page[webhooks.Webhook]:
        """A page of a namespace's webhooks by id; raises `errors.NotFound` (namespace)."""
        policy.require(caller, policy.Action.READ_WEBHOOK, parent)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            return await rows.list_page(connection, namespace_id, page)

    async def update(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.WebhookName,
        changed: Mapping[str, Any],
        etag: str,
    ) -> webhooks.Webhook:
        """Replace the fields in `changed`; raises `errors.NotFound`, `errors.StaleEtag`.

        One that is enabled again goes on where it stopped.
        """
        policy.require(caller, policy.Action.UPDATE_WEBHOOK, name)
        if "url" in changed:
            webhooks.require_scheme(changed["url"], http_allowed=self._http_allowed)
        body = functools.partial(_update, name, changed, etag)
        return await self._changes.apply(caller, once, webhooks.Webhook, body)

    async def rotate_secret(
        self, caller: callers.Caller, once: changes.Once, name: names.WebhookName, etag: str
    ) -> tuple[webhooks.Webhook, str]:
        """Give a webhook a new secret and return it; for a day both sign.

        Raises `errors.NotFound`, `errors.StaleEtag`, `errors.FailedPrecondition` (no key).
        """
        policy.require(caller, policy.Action.UPDATE_WEBHOOK, name)
        sealed = self._sealer.seal(name.webhook, signatures.new_secret())
        body = functools.partial(_rotate, name, sealed, etag)
        return self._told(await self._changes.apply(caller, once, _Issued, body))

    async def delete(
        self, caller: callers.Caller, once: changes.Once, name: names.WebhookName, etag: str
    ) -> webhooks.Webhook:
        """Delete a webhook with its deliveries; raises `errors.NotFound`, `errors.StaleEtag`."""
        policy.require(caller, policy.Action.DELETE_WEBHOOK, name)
        body = functools.partial(_delete, name, etag)
        return await self._changes.apply(caller, once, webhooks.Webhook, body)

    def _told(self, issued: _Issued) -> tuple[webhooks.Webhook, str]:
        sealed = bytes.fromhex(issued.sealed_hex)
        return issued.webhook, self._sealer.unseal(issued.webhook.name.webhook, sealed)


async def _create(
    name: names.WebhookName,
    fields: webhooks.WebhookFields,
    sealed: bytes,
    change: changes.Change,
) -> _Issued:
    await namespace_rows.lock(change.connection, name.parent)
    namespace_id = await namespace_rows.get_id(change.connection, name.namespace)
    if await rows.count(change.connection, namespace_id) >= limits.WEBHOOKS:
        raise errors.ResourceExhausted(
            f"{name.parent} has {limits.WEBHOOKS} webhooks, and no more are allowed; delete one",
            limit=limits.WEBHOOKS,
        )
    new = rows.New(name, fields, sealed, change.caller.principal)
    stored = await rows.insert(change.connection, namespace_id, new)
    change.record(name.namespace, events.Event("webhook.created", name, None, codec.plain(fields)))
    return _Issued(stored.webhook, sealed.hex())


async def _update(
    name: names.WebhookName, changed: Mapping[str, Any], etag: str, change: changes.Change
) -> webhooks.Webhook:
    present = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, present.webhook.etag)
    fields = dataclasses.replace(present.webhook.fields, **changed)
    await rows.update(
        change.connection, present.webhook_id, fields, present.webhook.disabled_reason
    )
    if fields.enabled:
        await delivery_rows.hurry(change.connection, present.webhook_id)
    before = {field: codec.plain(getattr(present.webhook.fields, field)) for field in changed}
    after = codec.plain(dict(changed))
    change.record(name.namespace, events.Event("webhook.updated", name, before, after))
    return (await rows.get(change.connection, name)).webhook


async def _rotate(
    name: names.WebhookName, sealed: bytes, etag: str, change: changes.Change
) -> _Issued:
    present = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, present.webhook.etag)
    await rows.rotate(change.connection, present.webhook_id, sealed, OVERLAP)
    change.record(name.namespace, events.Event("webhook.secret_rotated", name, {}, {}))
    stored = await rows.get(change.connection, name)
    return _Issued(stored.webhook, sealed.hex())


async def _delete(name: names.WebhookName, etag: str, change: changes.Change) -> webhooks.Webhook:
    present = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, present.webhook.etag)
    await rows.delete(change.connection, present.webhook_id)
    before = codec.plain(present.webhook.fields)
    change.record(name.namespace, events.Event("webhook.deleted", name, before, None))
    return present.webhook
