"""The first administrator: made by whoever holds the database, because nobody else can yet."""

import functools

from modelkeep.audit_chain import links
from modelkeep.authz import caller as callers
from modelkeep.authz import identity
from modelkeep.domain import access, errors, events, sight
from modelkeep.service import changes, tokens
from modelkeep.storage import bindings, database
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import tokens as token_rows

_ONCE = changes.Once("", b"")
_ADMIN = access.Grant(access.Role.ADMIN)
_FIRST = "the first administrator"
_LOCAL = "the local user"
_BROKEN = "break-glass: made with the database's own credentials"


async def make_admin(db: database.Database, principal: str, *, break_glass: bool) -> str:
    """Make an administrator of the registry, and a token of theirs; its text.

    Raises `errors.InvalidArgument`, and `errors.FailedPrecondition` (ADMIN_EXISTS) if there is one
    and the glass is not to be broken.
    """
    reason = _BROKEN if break_glass else _FIRST
    return await _make(db, principal, reason, even_beside_others=break_glass)


async def keep_local_admin(db: database.Database, principal: str, present: str) -> str:
    """A working token of a local administrator: the present one, or a new one."""
    if await _works(db, present):
        return present
    return await _make(db, principal, _LOCAL, even_beside_others=True)


async def _works(db: database.Database, text: str) -> bool:
    if not text:
        return False
    try:
        return await tokens.Tokens(db).identify(identity.Presented(text)) is not None
    except errors.Unauthenticated:
        return False


async def _make(
    db: database.Database, principal: str, reason: str, *, even_beside_others: bool
) -> str:
    secret = access.new_secret()
    fields = access.TokenFields(principal, reason)
    caller = callers.Caller(callers.SYSTEM, "modelkeep admin", "")
    body = functools.partial(_body, fields, secret, even_beside_others)
    with sight.only(links.REGISTRY):
        await changes.Changes(db).apply(caller, _ONCE, bool, body)
    return secret.text


async def _body(
    fields: access.TokenFields,
    secret: access.Secret,
    even_beside_others: bool,
    change: changes.Change,
) -> bool:
    await namespace_rows.ensure_registry(change.connection)
    await bindings.lock_admins(change.connection)
    if not even_beside_others and await bindings.count_admins(change.connection):
        raise errors.FailedPrecondition(
            "the registry has an administrator already, who can give roles with `modelkeep role "
            "grant`; if all of them are lost, --break-glass makes another, which is audited",
            reason="ADMIN_EXISTS",
        )
    given = access.BindingFields(fields.principal, _ADMIN, fields.description)
    place = bindings.Place()
    binding, is_new = await bindings.insert(change.connection, place, given, callers.SYSTEM)
    token = await token_rows.insert(change.connection, secret, fields, callers.SYSTEM)
    told: dict[str, events.Json] = {
        "principal": fields.principal,
        "binding": str(binding.name),
        "is_new_admin": is_new,
        "reason": fields.description,
    }
    resource = events.NamedResource(str(token.name))
    change.record(links.REGISTRY, events.Event("admin.made", resource, None, told))
    return is_new
