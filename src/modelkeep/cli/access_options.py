"""What the verbs about access read: roles with places, and how long from now."""

import re
from datetime import UTC, datetime, timedelta

import click

from modelkeep import client

_SPAN = re.compile(r"(\d{1,5})([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "y": 24 * 365}


def expiry(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """The instant that lies so far ahead: `12h`, `90d`, `1y`."""
    del context, option
    if text is None:
        return None
    matched = _SPAN.fullmatch(text)
    if matched is None:
        raise click.BadParameter(f"{text!r} is no span of time; write 12h, 90d, 4w or 1y.")
    return datetime.now(UTC) + timedelta(hours=int(matched[1]) * _HOURS[matched[2]])


def scopes(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> tuple[client.RoleGrant, ...]:
    """The roles of repeated `ROLE` and `ROLE@PLACE` options."""
    del context, option
    return tuple(_scope(text) for text in texts)


def _scope(text: str) -> client.RoleGrant:
    role, _, place = text.partition("@")
    known = [one.value for one in client.Role]
    if role not in known:
        raise click.BadParameter(f"{role!r} is no role; there are {', '.join(known)}.")
    return client.RoleGrant(client.Role(role), place)
