"""How tokens, roles and callers look to people."""

from collections.abc import Iterable
from datetime import UTC, datetime

from rich import console as rich_console
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, tables, units

_ONCE = "Keep it now: it is not shown again."


def issued(made: client.NewToken) -> rich_console.Group:
    """A token that was just made, with its text."""
    pairs = [("token", made.text), *_facts(made.token)]
    return rich_console.Group(tables.pairs(pairs), "", _ONCE)


def tokens(entries: Iterable[client.AccessToken]) -> rich_table.Table:
    """One line for each token."""
    rows = [
        (
            tables.cell(one.token_id, "bold" if _state(one) == "works" else "dim"),
            tables.cell(one.principal),
            tables.cell(_state(one)),
            tables.cell(_limits(one.scopes)),
            tables.age(one.last_used_at),
            tables.summary(one.description),
        )
        for one in entries
    ]
    headings = ("TOKEN", "OF", "STATE", "LIMITED TO", "USED", "DESCRIPTION")
    return grid.of(headings, rows, expendable=("DESCRIPTION", "USED"))


def roles(entries: Iterable[client.RoleBinding]) -> rich_table.Table:
    """One line for each role that somebody has."""
    rows = [
        (
            tables.cell(one.binding_id, "bold"),
            tables.cell(one.principal),
            tables.cell(str(one.grant)),
            tables.age(one.created_at),
            tables.cell(one.creator),
            tables.summary(one.reason),
        )
        for one in entries
    ]
    headings = ("ID", "WHO", "ROLE", "GRANTED", "BY", "REASON")
    return grid.of(headings, rows, expendable=("REASON", "GRANTED"))


def identity(who: client.Identity) -> rich_table.Table:
    """Who is calling, and what they were given."""
    pairs = [("principal", who.principal)]
    if who.groups:
        pairs.append(("groups", ", ".join(who.groups)))
    if who.token_id:
        pairs.append(("token", who.token_id))
    pairs.append(("roles", _limits(who.grants)))
    if who.scopes:
        pairs.append(("limited to", _limits(who.scopes)))
    return tables.pairs(pairs)


def _facts(token: client.AccessToken) -> list[tuple[str, str]]:
    facts = [("id", token.token_id), ("of", token.principal)]
    if token.groups:
        facts.append(("groups", ", ".join(token.groups)))
    if token.scopes:
        facts.append(("limited to", _limits(token.scopes)))
    return [*facts, ("expires", units.exact(token.expires_at) if token.expires_at else "never")]


def _limits(grants: Iterable[client.RoleGrant]) -> str:
    return ", ".join(sorted(map(str, grants))) or "-"


def _state(token: client.AccessToken) -> str:
    if token.revoked_at:
        return "revoked"
    if token.expires_at and token.expires_at <= datetime.now(UTC):
        return "expired"
    return "works"
