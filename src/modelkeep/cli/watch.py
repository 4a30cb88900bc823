"""`modelkeep watch`."""

import asyncio
import contextlib
import json
from datetime import UTC
from typing import Any

import click

from modelkeep import client
from modelkeep.cli import filtering, output, safe_text, session, settings

_SHOWN_CHARS = 120


@click.command()
@click.argument("namespace")
@filtering.options
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="Show what came after this sequence, too; 0 is from the beginning.",
)
@click.option("--until-now", is_flag=True, help="Show what there is and end.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print an event; each is one line.",
)
@settings.connecting
@settings.pass_settings
def watch(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings,
    namespace: str,
    wanted: client.EventFilter,
    after: int | None,
    until_now: bool,
    form: str,
) -> None:
    """Follow what happens in a namespace.

    One line an event, until Ctrl-C. A lost connection is taken up again where it broke. To go on
    after a pause, pass the last sequence shown: --after SEQ.
    """

    async def work(registry: client.Registry) -> None:
        position = client.Position()
        events = (
            registry.list_events(namespace, wanted, after_sequence=after)
            if until_now
            else registry.watch(
                namespace, wanted, after_sequence=after, position=position, listener=_Listener()
            )
        )
        with contextlib.suppress(asyncio.CancelledError):  # Ctrl-C is how it ends
            async for event in events:
                click.echo(_line(event, form))
        if position.sequence is not None:
            click.secho(f"\nto go on: --after {position.sequence}", err=True, dim=True)

    session.run(chosen, work)


class _Listener(client.Progress):
    def noted(self, text: str) -> None:
        click.secho(text, err=True, dim=True)


def _line(event: client.Event, form: str) -> str:
    if form == "json":
        return safe_text.escaped(json.dumps(output.plain(event), ensure_ascii=False))
    at = event.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    place = event.resource.partition("/")[2].partition("/")[2] or event.resource
    line = f"{event.sequence:>6}  {at}  {event.action:<20} {place}  by {event.actor}"
    return safe_text.printable(f"{line}{_particulars(event)}")


def _particulars(event: client.Event) -> str:
    """The short fields of what is now, or of what was there before it went."""
    fields = event.after if event.after is not None else event.before or {}
    shown = [f"{key}={_short(value)}" for key, value in fields.items() if value not in ("", [], {})]
    text = "  ".join(shown)
    return f"  {text[:_SHOWN_CHARS]}{'…' if len(text) > _SHOWN_CHARS else ''}" if text else ""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.strip('"').rpartition("/versions/")[2] if isinstance(value, str) else text
