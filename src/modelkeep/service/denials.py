"""Writes denied attempts at changes into the audit log."""

import asyncio
import math
import time

import structlog

from modelkeep.audit_chain import links
from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import audit, denials, errors, events, sight
from modelkeep.storage import database
from modelkeep.storage import events as event_rows
from modelkeep.storage import namespaces as namespace_rows

_log = structlog.get_logger()


class Denials:
    """Keeps account of denied attempts: a few of each kind in full, the rest counted.

    An attempt stands in the chain of the namespace that it was about, if there is one, and else in
    that of the registry.
    """

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._limiter = denials.Limiter()
        self._writing: set[asyncio.Task[None]] = set()

    async def note(
        self, caller: callers.Caller, denied: errors.PermissionDenied, *, hidden: bool = False
    ) -> None:
        """Write or count an attempt that was denied, if it was at a change; never raises.

        It is written even if the caller leaves in the meantime. A caller who may not know whether
        the resource exists is not kept waiting, because that could tell.
        """
        action, resource = denied.metadata.get("action", ""), denied.metadata.get("resource", "")
        if not policy.changes_something(action):
            return
        key = denials.Key(caller.principal, action)
        if not self._limiter.admits(key, _namespace_of(resource), time.monotonic()):
            return
        origin = event_rows.Origin(
            caller.principal, caller.client, caller.request_id, caller.credential
        )
        after: events.Fields = {"action": action, "outcome": "denied"}
        writing = asyncio.create_task(self._write(origin, resource, after))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        if not hidden:
            await asyncio.shield(writing)

    async def flush(self, *, all_of_them: bool = False) -> None:
        """Write the counts of the windows that have ended, or of all."""
        for count in self._limiter.take_ended(math.inf if all_of_them else time.monotonic()):
            origin = event_rows.Origin(count.key.principal, "several calls", "")
            resource = f"namespaces/{count.namespace}" if count.namespace else ""
            more: events.Fields = {
                "action": count.key.action,
                "outcome": "denied",
                "more_attempts": count.attempts,
            }
            await self._write(origin, resource, more)

    async def close(self) -> None:
        """Write what has not been written yet."""
        if self._writing:
            await asyncio.wait(self._writing)
        await self.flush(all_of_them=True)

    async def _write(self, origin: event_rows.Origin, resource: str, after: events.Fields) -> None:
        event = events.Event(audit.DENIED, events.NamedResource(resource), None, after)
        try:
            await self._append(origin, event, _namespace_of(resource))
        except errors.ModelkeepError as error:
            _log.error(
                "audit.denial_lost",
                actor=origin.actor,
                resource=resource,
                request_id=origin.request_id,
                error=error.message,
                **after,
            )

    async def _append(self, origin: event_rows.Origin, event: events.Event, namespace: str) -> None:
        with sight.only(namespace or links.REGISTRY, links.REGISTRY):
            await self._append_seen(origin, event, namespace)
        self._db.committed[event.action] += 1

    async def _append_seen(
        self, origin: event_rows.Origin, event: events.Event, namespace: str
    ) -> None:
        async with self._db.transaction() as connection:
            if not namespace or not await namespace_rows.exists(connection, namespace):
                await namespace_rows.ensure_registry(connection)
                namespace = links.REGISTRY
            await event_rows.append(connection, namespace, origin, event)


def _namespace_of(resource: str) -> str:
    """The namespace that a name is in; '' if in none."""
    words = resource.split("/")
    return words[1] if words[0] == "namespaces" and len(words) > 1 else ""
