"""Carries out a change: once, in one transaction, with its audit event and its event-log row."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from modelkeep.authz import caller as callers
from modelkeep.domain import errors, events, names
from modelkeep.storage import codec, database, requests
from modelkeep.storage import events as event_rows

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a retry safe.

    Attributes:
        request_id: what the client calls the request; '' if it does not ask for safety.
        fingerprint: SHA-256 of the method and the request without its request_id.
    """

    request_id: str
    fingerprint: bytes


@dataclass(slots=True)
class Change:
    """A change under way: its transaction, who makes it, and the events it has caused."""

    connection: database.Connection
    caller: callers.Caller
    recorded: list[tuple[str, events.Event]] = field(default_factory=list)

    def record(self, namespace: str, event: events.Event) -> None:
        """Note an event; it is appended to the namespace's chain just before the commit."""
        self.recorded.append((namespace, event))


class Changes:
    """Runs changes against the database."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def apply(
        self,
        caller: callers.Caller,
        once: Once,
        kind: type[T],
        body: Callable[[Change], Awaitable[T]],
    ) -> T:
        """Run `body` in a transaction and append the events it records.

        A request that was carried out before is not run again: its first answer is returned.

        Args:
            caller: who makes the change.
            once: what makes a retry safe.
            kind: the type of the answer, which is kept to be given again.
            body: makes the change and records at least one event, unless nothing changed.
        """
        key = requests.Key(caller.principal, once.request_id, once.fingerprint)
        async with self._db.transaction() as connection:
            if once.request_id:
                answered = await requests.claim(connection, key)
                if answered is not None:
                    return codec.load(kind, answered)
            change = Change(connection, caller)
            answer = await body(change)
            await _append(change)
            if once.request_id:
                await requests.answer(connection, key, codec.dump(answer))
        self._db.committed.update(event.action for _, event in change.recorded)
        return answer


async def _append(change: Change) -> None:
    caller = change.caller
    origin = event_rows.Origin(
        caller.principal, caller.client, caller.request_id, caller.credential
    )
    # By namespace, so that two changes of the same namespaces never wait for each other in a ring.
    for namespace, event in sorted(change.recorded, key=lambda entry: entry[0]):
        await event_rows.append(change.connection, namespace, origin, event)


def require_etag(resource: names.Resource, wanted: str, present: str) -> None:
    """Raise `errors.StaleEtag` if the caller named an etag and the resource has moved on."""
    if wanted and wanted != present:
        raise errors.StaleEtag(
            f"{resource} changed since its etag {wanted!r} was read (now {present!r}); "
            "read it again and decide again",
            resource=resource,
            etag=present,
        )
