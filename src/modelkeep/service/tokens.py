"""Use cases of API tokens, and the way in that they are."""

import datetime
import functools

from modelkeep.audit_chain import links
from modelkeep.authz import caller as callers
from modelkeep.authz import identity, policy
from modelkeep.domain import access, errors, events, limits, pages, sight
from modelkeep.service import changes, remembering
from modelkeep.storage import codec, database
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import tokens as rows

LIFETIME_S = 5.0
ALL = "-"
"""Stands for the tokens of everybody."""


class Tokens:
    """Creates, lists and revokes tokens, and knows whose they are.

    Args:
        db: where they are.
        lifetime_s: for how long a token that another replica has revoked may still be taken.
    """

    def __init__(self, db: database.Database, lifetime_s: float = LIFETIME_S) -> None:
        self._db = db
        self._changes = changes.Changes(db)
        self._known = remembering.Remembered(self._find, lifetime_s)
        self._used: dict[str, datetime.datetime] = {}

    async def identify(self, presented: identity.Presented) -> identity.Identity | None:
        """Whose token it is; None if it is none of ours.

        Raises `errors.Unauthenticated` (TOKEN_UNKNOWN, TOKEN_EXPIRED, TOKEN_REVOKED).
        """
        token_id = access.token_id_of(presented.bearer)
        if not token_id:
            return None
        stored = await self._known.get(token_id)
        # Who knows the id alone is told the same as who knows nothing.
        if stored is None or not access.matches(presented.bearer, stored.sha256):
            raise errors.Unauthenticated(
                "the token is not known here; make another with `modelkeep token create`",
                reason="TOKEN_UNKNOWN",
            )
        now = datetime.datetime.now(datetime.UTC)
        _require_good(stored.token, now)
        self._used[token_id] = now
        fields = stored.token.fields
        return identity.Identity(
            fields.principal, frozenset(fields.groups), token_id, fields.scopes
        )

    async def create(
        self, caller: callers.Caller, once: changes.Once, fields: access.TokenFields
    ) -> tuple[access.Token, str]:
        """Create a token; it and its text, which nobody can read again.

        For oneself with what one has; for others by who may. Raises `errors.PermissionDenied`,
        `errors.ResourceExhausted`, and `errors.FailedPrecondition` if the same request was answered
        before, whose answer had the text.
        """
        if fields.principal == caller.principal:
            _require_own(caller, fields)
        else:
            policy.require(caller, policy.Action.CREATE_TOKEN)
        sight.admit(links.REGISTRY)
        made: list[access.Secret] = []
        body = functools.partial(_create, fields, made)
        token = await self._changes.apply(caller, once, access.Token, body)
        self._known.forget(token.name.token)
        if not made:
            raise errors.FailedPrecondition(
                f"{token.name} was made by this request before, and its text was shown then; "
                "revoke it and create another",
                reason="TOKEN_SHOWN_ONCE",
                token=token.name,
            )
        return token, made[0].text

    async def list(
        self, caller: callers.Caller, principal: str, page: pages.PageRequest
    ) -> pages.Page[access.Token]:
        """A page of a principal's tokens: the caller's own ('') or, by who may, others' or all."""
        wanted = principal or caller.principal
        if wanted != caller.principal:
            policy.require(caller, policy.Action.READ_TOKEN)
        async with self._db.connection() as connection:
            return await rows.list_page(connection, "" if wanted == ALL else wanted, page)

    async def revoke(
        self, caller: callers.Caller, once: changes.Once, name: access.TokenName
    ) -> access.Token:
        """End a token for good; to do so twice is the same as once.

        Raises `errors.NotFound`, also for others' tokens unless the caller may revoke these.
        """
        sight.admit(links.REGISTRY)
        body = functools.partial(_revoke, name)
        token = await self._changes.apply(caller, once, access.Token, body)
        self._known.forget(name.token)
        return token

    async def flush(self) -> None:
        """Write down which tokens were used since the last time."""
        used, self._used = self._used, {}
        if used:
            async with self._db.connection() as connection:
                await rows.note_use(connection, used)

    async def _find(self, token_id: str) -> rows.Stored | None:
        async with self._db.connection() as connection:
            return await rows.find(connection, token_id)


def _require_good(token: access.Token, now: datetime.datetime) -> None:
    if token.revoked_at is not None:
        raise errors.Unauthenticated(
            "the token was revoked; make another with `modelkeep token create`",
            reason="TOKEN_REVOKED",
        )
    expires_at = token.fields.expires_at
    if expires_at is not None and expires_at <= now:
        raise errors.Unauthenticated(
            f"the token expired at {expires_at.isoformat(timespec='seconds')}; "
            "make another with `modelkeep token create`",
            reason="TOKEN_EXPIRED",
        )


def _require_own(caller: callers.Caller, fields: access.TokenFields) -> None:
    """Raise `errors.PermissionDenied` if the token would be more than the caller is."""
    if caller.scopes:
        raise _more("a token that is limited makes no tokens; use one that is not", caller)
    foreign = sorted(set(fields.groups) - caller.groups)
    if foreign:
        raise _more(f"{caller.principal} is not in {', '.join(foreign)}", caller)


def _more(sentence: str, caller: callers.Caller) -> errors.PermissionDenied:
    return errors.PermissionDenied(
        sentence, action=policy.Action.CREATE_TOKEN, resource="", principal=caller.principal
    )


async def _create(
    fields: access.TokenFields, made: list[access.Secret], change: changes.Change
) -> access.Token:
    await namespace_rows.ensure_registry(change.connection)
    await _require_no_longer_life(fields, change)
    if await rows.count(change.connection, fields.principal) >= limits.TOKENS_OF_ONE:
        raise errors.ResourceExhausted(
            f"{fields.principal} has {limits.TOKENS_OF_ONE} tokens that work; revoke some",
            limit=limits.TOKENS_OF_ONE,
        )
    secret = access.new_secret()
    token = await rows.insert(change.connection, secret, fields, change.caller.principal)
    made.append(secret)
    after = codec.plain(fields)
    resource = events.NamedResource(str(token.name))
    change.record(links.REGISTRY, events.Event("token.created", resource, None, after))
    return token


async def _require_no_longer_life(fields: access.TokenFields, change: changes.Change) -> None:
    """A token that ends makes none that outlives it."""
    caller = change.caller
    if not caller.token_id or fields.principal != caller.principal:
        return
    used = await rows.find(change.connection, caller.token_id)
    ends_at = used.token.fields.expires_at if used else None
    if ends_at and (fields.expires_at is None or fields.expires_at > ends_at):
        raise _more(
            f"the token in use ends at {ends_at.isoformat(timespec='seconds')}, and makes none "
            "that lasts longer; say when the new one expires",
            caller,
        )


async def _revoke(name: access.TokenName, change: changes.Change) -> access.Token:
    await namespace_rows.ensure_registry(change.connection)
    token = await rows.lock(change.connection, name)
    _require_may_revoke(change.caller, token)
    if token.revoked_at is not None:
        return token
    revoked = await rows.revoke(change.connection, name)
    before = {"principal": token.fields.principal, "description": token.fields.description}
    resource = events.NamedResource(str(name))
    change.record(links.REGISTRY, events.Event("token.revoked", resource, before, None))
    return revoked


def _require_may_revoke(caller: callers.Caller, token: access.Token) -> None:
    own = token.fields.principal == caller.principal
    if own and (not caller.scopes or token.name.token == caller.token_id):
        return
    try:
        policy.require(caller, policy.Action.REVOKE_TOKEN)
    except errors.PermissionDenied as denied:
        raise errors.Hidden(f"{token.name} does not exist", denied, resource=token.name) from denied
